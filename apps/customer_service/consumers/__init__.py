"""Sockets of the customer service."""
