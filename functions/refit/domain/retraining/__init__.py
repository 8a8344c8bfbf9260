"""When a model is trained anew, and on which labelled predictions."""
