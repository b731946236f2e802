"""Reads of the public-opinion monitor: one module for each kind of question."""
