"""Agreement against worked examples of the literature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootstock.modelhub.agreement import (
    cohen_kappa,
    fleiss_kappa,
    interval,
    krippendorff_alpha,
    masi,
    raw_agreement,
)


def test_cohen() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: 0.4
    first = ["y"] * 25 + ["n"] * 25
    second = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert cohen_kappa([], []) is None
    assert cohen_kappa(["a"], ["a"]) is None
    with pytest.raises(ValueError, match="cannot be compared"):
        cohen_kappa(["a"], [])


def test_fleiss() -> None:
    # Fleiss (1971) as worked through in Wikipedia's table: kappa = 0.210
    table = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    units = [[value for value, n in enumerate(row) for _ in range(n)] for row in table]
    assert fleiss_kappa(units) == pytest.approx(0.210, abs=5e-4)
    with pytest.raises(ValueError, match="equally many"):
        fleiss_kappa([[1, 2], [1]])


def test_krippendorff() -> None:
    # Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", example C: 0.743 nominal, 0.849 interval
    a = [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None]
    b = [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3]
    c = [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None]
    d = [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None]
    units = [[v for v in unit if v is not None] for unit in zip(a, b, c, d, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(units, distance=interval) == pytest.approx(0.849, abs=5e-4)


def test_sets() -> None:
    one, two = frozenset("a"), frozenset("ab")
    assert masi(one, one) == masi(frozenset(), frozenset()) == 0
    assert masi(one, two) == pytest.approx(1 - 0.5 * 2 / 3)
    assert masi(one, frozenset("b")) == 1


@given(st.lists(st.lists(st.integers(0, 3), max_size=5), max_size=20))
def test_figures_stay_in_their_bounds(units: list[list[int]]) -> None:
    raw = raw_agreement(units)
    assert raw is None or 0 <= raw <= 1
    alpha = krippendorff_alpha(units)
    assert alpha is None or alpha <= 1
    if raw == 1.0:
        assert alpha in (None, 1.0)
