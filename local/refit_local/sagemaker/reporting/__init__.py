"""What the local SageMaker publishes through its host: events, logs, endpoint metrics."""
