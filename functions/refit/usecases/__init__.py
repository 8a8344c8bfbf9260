"""What Refit does, one module per use case. Each takes the services that it works with."""
