"""Charts as SVG, for paper and mail: no script, no style sheet, readable without colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_WIDTH, _LEFT, _BOTTOM, _TOP, _RIGHT = 680, 36, 18, 10, 6
INK, FAINT, GRID, ALL, NEGATIVE, BAND = (
    "#1a1b1e",
    "#65686f",
    "#d9d9d5",
    "#b9bcc2",
    "#a33a1e",
    "#dfe2f7",
)
_LINE = "#4450c4"


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch of time: its label, and how many stories, of which how many are negative."""

    label: str
    total: float
    part: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What comes next: a label, the value in the middle, and the ends of the interval."""

    label: str
    middle: float
    low: float
    high: float


def bars(rows: Sequence[Bar], *, title: str, height: int = 150) -> SafeString:
    """Bars of all, in grey, with the negative part dark at their feet; `title` is what the chart says in words."""
    top = nice_top(max((row.total for row in rows), default=0.0))
    inner = height - _BOTTOM - _TOP
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(rows), 1)
    shapes = []
    for place, row in enumerate(rows):
        x = _LEFT + place * step + step * 0.12
        for value, colour in ((row.total, ALL), (row.part, NEGATIVE)):
            if value > 0:
                tall = inner * value / top
                shapes.append((_n(x), _n(_TOP + inner - tall), _n(step * 0.76), _n(tall), colour))
    drawn = format_html_join("", '<rect x="{}" y="{}" width="{}" height="{}" fill="{}"/>', shapes)
    labels = _labels([row.label for row in rows], step, height)
    return _svg(title, height, _axis(top, inner), drawn, labels)


def line_and_band(
    past: Sequence[tuple[str, float]],
    ahead: Sequence[Forecast],
    *,
    title: str,
    height: int = 150,
) -> SafeString:
    """A line of what was, then what is expected, dashed, in the band that should hold four of five values."""
    values = [value for _label, value in past] + [one.high for one in ahead]
    top = nice_top(max(values, default=0.0))
    inner = height - _BOTTOM - _TOP
    count = len(past) + len(ahead)
    step = (_WIDTH - _LEFT - _RIGHT) / max(count, 1)

    def at(place: int, value: float) -> tuple[str, str]:
        return _n(_LEFT + (place + 0.5) * step), _n(_TOP + inner - inner * max(value, 0.0) / top)

    first = len(past)
    line = [at(place, value) for place, (_label, value) in enumerate(past)]
    middle = [at(first + place, one.middle) for place, one in enumerate(ahead)]
    band = [at(first + place, one.high) for place, one in enumerate(ahead)]
    band += [at(first + place, ahead[place].low) for place in reversed(range(len(ahead)))]
    drawn = format_html(
        '<polygon points="{}" fill="{}"/><polyline points="{}" fill="none" stroke="{}" stroke-width="1.5"/>'
        '<polyline points="{}" fill="none" stroke="{}" stroke-width="1.5" stroke-dasharray="4 3"/>',
        _points(band), BAND, _points(line), _LINE, _points(line[-1:] + middle), _LINE,
    )  # fmt: skip
    names = [label for label, _value in past] + [one.label for one in ahead]
    return _svg(title, height, _axis(top, inner), drawn, _labels(names, step, height))


def nice_top(value: float) -> float:
    """The smallest of 1, 2, 5, 10, 20 … that is not below `value`."""
    if value <= 1:
        return 1.0
    power = 10.0 ** ceil(log10(value) - 1)
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value)


def _svg(title: str, height: int, *parts: SafeString) -> SafeString:
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" width="100%" role="img" aria-label="{}" '
        'font-family="system-ui, sans-serif" font-size="9"><title>{}</title>{}</svg>',
        _WIDTH, height, title, title, format_html_join("", "{}", ((part,) for part in parts)),
    )  # fmt: skip


def _axis(top: float, inner: int) -> SafeString:
    lines = [(_n(_TOP + inner - inner * share), top * share) for share in (0.0, 0.5, 1.0)]
    return format_html_join(
        "",
        '<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="{}"/><text x="{}" y="{}" text-anchor="end" fill="{}">{}</text>',
        (
            (_LEFT, _WIDTH - _RIGHT, y, y, GRID, _LEFT - 4, _n(float(y) + 3), FAINT, f"{value:g}")
            for y, value in lines
        ),
    )


def _labels(names: Sequence[str], step: float, height: int) -> SafeString:
    """Every so many names that they do not touch."""
    every = max(1, ceil(56 / step)) if names else 1
    return format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle" fill="{}">{}</text>',
        (
            (_n(_LEFT + (place + 0.5) * step), height - 5, INK, name)
            for place, name in enumerate(names)
            if place % every == 0
        ),
    )


def _points(points: Sequence[tuple[str, str]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _n(value: float) -> str:
    return f"{value:.1f}"
