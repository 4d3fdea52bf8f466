"""Training one model: settings, losses, fitting, resuming."""
