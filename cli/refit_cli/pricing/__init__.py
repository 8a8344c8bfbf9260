"""What a stack costs in a month, from list prices.

prices.toml   the list prices, with their date, Region and sources
prices.py     reads them
usage.py      how much of each a stack, a model and their traffic use
"""
