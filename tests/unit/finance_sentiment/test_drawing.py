"""Charts of reports: drawn within their frame, and no markup of a label gets out."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance_sentiment.drawing import Bar, Forecast, bars, line_and_band, nice_top

COUNTS = st.floats(0, 1e9, allow_nan=False)
TEXTS = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff"),
    max_size=20,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.builds(Bar, TEXTS, COUNTS, COUNTS), max_size=60), TEXTS)
def test_bars_stay_in_their_frame(rows, title):
    root = ElementTree.fromstring(bars(rows, title=title))  # noqa: S314 - our own drawing
    rows_drawn = [shape for shape in root if shape.tag.endswith("rect")]
    for shape, row in zip(rows_drawn, (r for r in rows for _ in range(2)), strict=False):
        assert row is not None
        assert 0 <= float(shape.get("x")) <= 680
    drawn_totals = [shape for shape in rows_drawn if shape.get("fill") == "#b9bcc2"]
    assert all(float(shape.get("y")) >= 9.9 for shape in drawn_totals)
    assert root.get("aria-label") == title


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(TEXTS, COUNTS), max_size=40),
    st.lists(st.builds(Forecast, TEXTS, COUNTS, COUNTS, COUNTS), max_size=10),
)
def test_a_forecast_is_drawn_whatever_it_says(past, ahead):
    root = ElementTree.fromstring(line_and_band(past, ahead, title="<script>"))  # noqa: S314 - our own drawing
    assert [one for one in root.iter() if "script" in one.tag] == []


@given(COUNTS)
def test_the_top_of_an_axis_is_round_and_not_far(value):
    top = nice_top(value)
    assert top >= value
    assert top <= max(1.0, 2.5 * value)
