"""A file per command of launch.py, and what they share: the table of commands, parsing, folders and messages."""
