"""Corrections to MiniStack, one module each, and the private names they rely on."""
