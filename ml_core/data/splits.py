"""Split examples without changing the share of any label."""

from __future__ import annotations

import operator
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

Row = TypeVar("Row")


def stratified_split(
    examples: Sequence[Row],
    *,
    fraction: float,
    seed: int,
    label: Callable[[Row], str] = operator.attrgetter("label"),
) -> tuple[list[Row], list[Row]]:
    """Split off about ``fraction`` of each label's examples; returns (rest, split-off part), both
    in file order. ``label`` says what an example's label is.

    A label with at least two examples is in both parts; a single example stays in the rest.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        places[label(example)].append(place)
    generator = random.Random(seed)
    chosen: set[int] = set()
    for name in sorted(places):
        candidates = places[name]
        count = min(max(1, round(len(candidates) * fraction)), len(candidates) - 1)
        chosen.update(generator.sample(candidates, count))
    rest = [example for place, example in enumerate(examples) if place not in chosen]
    return rest, [examples[place] for place in sorted(chosen)]
