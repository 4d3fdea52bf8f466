"""Figure 5: uncertainty and its calibration."""
