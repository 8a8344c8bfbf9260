"""Endpoint configs, endpoints, deployments and InvokeEndpoint."""
