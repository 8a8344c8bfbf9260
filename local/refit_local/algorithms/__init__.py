"""The algorithm containers that jobs and endpoints of the local SageMaker run."""
