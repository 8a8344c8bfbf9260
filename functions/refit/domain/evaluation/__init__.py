"""How good a model is on held-out rows, and whether it may become the live one."""
