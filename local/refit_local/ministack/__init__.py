"""Corrections to MiniStack, one module each, and the private names that they depend on."""
