"""Clients of the HTTP API of a stack."""
