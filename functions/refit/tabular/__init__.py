"""Tabular data on local disk: read dropped files, check rows, split and encode them.

This package does not use AWS or the model registry. Its errors state the file and the line.
"""
