"""How good a run is on a split, beside the baselines that a network has to beat."""
