"""How AdaLoRA's ranks begin. Free of torch, for those who serve what it learned."""

from __future__ import annotations


def first_rank(rank: int) -> int:
    """⌈1.5 · ``rank``⌉: what every matrix begins with, and what its change is divided by to the end."""
    return rank + (rank + 1) // 2
