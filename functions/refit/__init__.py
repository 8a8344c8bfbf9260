"""Refit: event-driven serverless MLOps. The code of every Lambda; /var/task on AWS."""
