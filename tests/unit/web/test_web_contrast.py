"""The colours that are used together are far enough apart (WCAG 2.2 AA), in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = Path(__file__).parents[3] / "platform/frontend/src/css/tokens.css"
GROUNDS = ["bg", "surface", "sunken", "hover", "raised"]
PAIRS = [
    *[(text, ground, 4.5) for text in ("text", "text-2", "text-3") for ground in GROUNDS],
    *[("accent", ground, 4.5) for ground in ("bg", "surface", "raised", "accent-soft", "hover")],
    ("on-accent", "accent-fill", 4.5),
    ("on-accent", "accent-fill-hover", 4.5),
    ("on-accent", "bad-fill", 4.5),
    *[(tone, f"{tone}-soft", 4.5) for tone in ("ok", "warn", "bad", "info")],
    *[(tone, "surface", 4.5) for tone in ("ok", "warn", "bad", "info", "green", "red", "neutral")],
    *[("text", f"{tone}-soft", 4.5) for tone in ("ok", "warn", "bad", "info", "quiet")],
    ("text-2", "quiet-soft", 4.5),
    *[("line-strong", ground, 3.0) for ground in ("bg", "surface", "raised")],
    *[(f"data-{n}", "surface", 3.0) for n in range(1, 9)],
]


def _tokens(theme: int) -> dict[str, str]:
    text = CSS.read_text()
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", text
    ):
        found[name] = (light, dark)[theme]
    return found


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_lines_stand_out(theme: str) -> None:
    tokens = _tokens(["light", "dark"].index(theme))
    weak = []
    for front, ground, least in PAIRS:
        light, dark = sorted((_luminance(tokens[front]), _luminance(tokens[ground])), reverse=True)
        ratio = (light + 0.05) / (dark + 0.05)
        if ratio < least:
            weak.append(f"{front} on {ground}: {ratio:.2f} < {least}")
    assert not weak
