"""Split examples without changing the share of any label."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from ml_core.data.examples import Example


def stratified_split(
    examples: Sequence[Example], *, fraction: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Split off about ``fraction`` of each label's examples; returns (rest, split-off part), both
    in file order.

    A label with at least two examples is in both parts; a single example stays in the rest.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        places[example.label].append(place)
    generator = random.Random(seed)
    chosen: set[int] = set()
    for label in sorted(places):
        candidates = places[label]
        count = min(max(1, round(len(candidates) * fraction)), len(candidates) - 1)
        chosen.update(generator.sample(candidates, count))
    rest = [example for place, example in enumerate(examples) if place not in chosen]
    return rest, [examples[place] for place in sorted(chosen)]
