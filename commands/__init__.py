"""Commands that join the preparation of fields and the network; launch.py parses what is typed and calls them."""
