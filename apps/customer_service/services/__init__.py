"""Writes of the customer service: one module for each kind of thing."""
