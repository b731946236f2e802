"""What is learned from customers; see `bench.customer.learning`."""

from __future__ import annotations

from bench.customer.learning import SECTION

__all__ = ["SECTION"]
