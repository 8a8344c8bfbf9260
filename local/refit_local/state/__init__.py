"""The state of the local stack on disk."""
