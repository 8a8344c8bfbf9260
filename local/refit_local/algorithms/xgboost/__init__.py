"""The XGBoost container: the entry points `train` and `serve` over one base directory.

It follows the SageMaker container contract as the image `sagemaker-xgboost:3.0-5` does in algorithm
mode, including the image's defects, because a model that works here has to work on AWS. Unlike the
image it never unpickles a model and never evaluates a hyperparameter as code.
"""
