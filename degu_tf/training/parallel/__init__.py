"""Training one model on several devices: which they are, and the steps they take together."""
