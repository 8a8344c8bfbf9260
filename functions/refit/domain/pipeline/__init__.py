"""Decisions of a run: what to train, what to deploy, why it failed."""
