"""Dropped files of every kind, read as streams of CSV lines in bounded memory."""
