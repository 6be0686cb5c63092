"""Images to label images; segment.py is the way in."""
