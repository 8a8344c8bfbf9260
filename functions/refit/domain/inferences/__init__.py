"""Captured predictions, their labels, and how both are counted."""
