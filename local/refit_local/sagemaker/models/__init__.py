"""Models, the model registry, and the processes that serve a model."""
