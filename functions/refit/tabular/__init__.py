"""Tabular data on local disk: read dropped files, check rows, split and encode them.

This package knows neither the model registry nor AWS. Errors name the file and the line.
"""
