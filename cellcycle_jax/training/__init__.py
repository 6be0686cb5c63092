"""Training: loop.py is the way in, setup.py puts together what it runs, train_step.py is one step."""
