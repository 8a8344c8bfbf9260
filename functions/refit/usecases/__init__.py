"""What Refit does, one module per use case. Each takes the stores and the clock it works with."""
