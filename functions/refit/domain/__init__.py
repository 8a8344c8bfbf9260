"""Decisions: plain functions of plain values, without I/O, AWS or the environment."""
