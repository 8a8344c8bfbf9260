"""The stored state: names and ARNs of resources, records, tags."""
