"""The XGBoost container: `train` and `serve` over one base directory.

Speaks SageMaker's container contract as the image `sagemaker-xgboost:3.0-5` in algorithm mode does,
its quirks included, because a model that works here must work there. Where the image is unsafe this
one refuses instead: it never unpickles a model and never evaluates a hyperparameter as code.
"""
