"""Figure 3: predictions under covariate shift."""
