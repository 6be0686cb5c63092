"""Processor cores, accelerators and hosts: what there is, and how arrays are laid over it."""
