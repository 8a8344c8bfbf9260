"""From a drop to rows that can be trained on, each error told by file and line."""
