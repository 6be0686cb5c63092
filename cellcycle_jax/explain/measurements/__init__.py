"""Measurements that say what the network says, and a short list of them to look at."""
