"""The local SageMaker: training jobs, transform jobs, model registry and endpoints.

It speaks the wire protocol of SageMaker and runs the algorithm containers as child processes of the
local stack. It refuses what it does not implement, with an error that names the feature.

Source  docs/sagemaker-contract.md
"""
