"""Decide when a model is retrained, and record why it is not."""
