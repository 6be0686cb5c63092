"""A trained network on new fields: the predictor that leaves a run, its decisions, and what is unlike training."""
