"""The DeepLIFT engine: multipliers, layer by layer, through a Keras graph."""
