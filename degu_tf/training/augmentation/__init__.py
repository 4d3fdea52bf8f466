"""Augmentations of minibatches and the schemes that choose among them."""
