"""Follow a run: read its records, show its progress, report its outcome."""
