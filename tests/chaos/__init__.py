"""The campaign of faults: `make chaos`, and a part of it among the end-to-end tests."""
