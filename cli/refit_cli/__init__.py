"""The command `refit`: a client of a Refit stack, on AWS or on this machine."""
