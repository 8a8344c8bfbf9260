"""The model server: HTTP in, micro-batches through XGBoost, the image's very answers out."""
