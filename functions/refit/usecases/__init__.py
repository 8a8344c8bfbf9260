"""The use cases of Refit, one module each. A use case receives the services that it uses."""
