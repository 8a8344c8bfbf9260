"""Predictions, their labels, and what is counted of them."""
