"""The Models pages."""
