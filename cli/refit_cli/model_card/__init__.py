"""The model card of one version: what it was made of, how good it is, and its limits.

lineage.py    the labels and corrections that trained it
card.py       the whole card as JSON
limits.py     what the version was not tested for
markdown.py   the card as Markdown
"""
