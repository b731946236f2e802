"""How customers feel; see `bench.customer.emotions`."""

from __future__ import annotations

from bench.customer.emotions import SECTION

__all__ = ["SECTION"]
