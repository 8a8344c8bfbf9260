"""Quality of a model on held-out rows, and whether it may replace the live one."""
