"""The second ground: the whole of Refit on one machine, without an AWS account."""
