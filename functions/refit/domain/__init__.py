"""What Refit decides, in plain functions of plain values: no I/O, no AWS, no environment."""
