"""The local stack: Refit on one machine, without an AWS account."""
