"""What a person at a terminal meets: messages, the end after Ctrl-C, exceptions as one line and an exit code."""
