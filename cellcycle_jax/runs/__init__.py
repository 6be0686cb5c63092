"""The folder of a run: what it was made with, its checkpoints and logs, what explain said, and the run read back."""
