"""The local SageMaker: training, transform jobs, registry and endpoints, really run.

It answers the wire protocol of AWS's SageMaker (contract B) and runs the algorithm containers
(contract A) as child processes of the ground. What it does not implement it refuses by name.
"""
