"""Handlers of this part."""
