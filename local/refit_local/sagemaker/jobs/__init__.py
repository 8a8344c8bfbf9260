"""Training jobs and batch transform jobs."""
