"""Writes of the public-opinion monitor: one module for each kind of thing."""
