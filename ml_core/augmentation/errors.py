"""The error of everything in this package that is asked for something it cannot do."""

from __future__ import annotations


class AugmentationError(ValueError):
    """A method, language or source that augmentation cannot work with: what, and what to do."""
