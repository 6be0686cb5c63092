"""How good predictions are: scores, their intervals over groups, calibration of probabilities, cross-validation."""
