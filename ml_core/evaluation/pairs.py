"""Correlation of two columns of numbers."""

from __future__ import annotations

import numpy as np


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; tied values share the mean of their ranks. Shape (examples,)."""
    _, places, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    ranks: np.ndarray = (last - (sizes - 1) / 2)[places]
    return ranks


def pearson_of_sums(sums: np.ndarray) -> np.ndarray:
    """Pearson's r from the sums of (1, x, y, x², y², xy), over the last axis; NaN where a column is
    constant."""
    count, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    x_spread, y_spread = count * xx - x * x, count * yy - y * y
    # Below this a spread is rounding: the column is constant.
    constant = (x_spread <= 1e-12 * count * xx) | (y_spread <= 1e-12 * count * yy)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (count * xy - x * y) / np.sqrt(x_spread * y_spread)
    result: np.ndarray = np.where(constant, np.nan, r)
    return result


def moments(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The rows (1, x, y, x², y², xy) of which `pearson_of_sums` makes r: shape (examples, 6).

    Both columns are centred and scaled first, which leaves r as it is and keeps its digits.
    """
    x, y = (_standardised(np.asarray(values, dtype=np.float64)) for values in (x, y))
    return np.column_stack([np.ones(len(x)), x, y, x * x, y * y, x * y])


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of two arrays of shape (examples,); NaN where one is constant."""
    return float(pearson_of_sums(moments(x, y).sum(0)))


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation, ties with their mean rank; NaN where one is constant."""
    return pearson(average_ranks(x), average_ranks(y))


def _standardised(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    spread = np.abs(centred).max(initial=0.0)
    scaled: np.ndarray = centred / spread if spread > 0 else centred
    return scaled
