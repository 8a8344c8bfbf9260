"""The answers of the HTTP API that shows and operates models, as Pydantic models."""
