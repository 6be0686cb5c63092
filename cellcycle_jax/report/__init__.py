"""One self-contained page about a run, and what it says in words."""
