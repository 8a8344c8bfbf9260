"""Hyperparameter tuning jobs: a search whose trials are training jobs."""
