"""Run the local stack: one process with MiniStack and the local SageMaker, and Refit on it."""
