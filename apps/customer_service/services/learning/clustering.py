"""Questions that ask the same, gathered: average linkage that can go on where it left off.

Pure: vectors and sizes in, numbers of groups out. The same input gives the same groups, in whichever order the new
questions stand but for ties, of which the first wins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


def gather(
    vectors: Vectors, *, alike: float, sizes: Sequence[int] | None = None, fixed: int = 0
) -> list[int]:
    """Of each group the one that it goes to, by its place.

    `vectors`, (groups, dimensions): the mean of the vectors of the `sizes` questions of each; a new question is a group
    of one. As long as there are two groups whose questions are on average at least `alike` (the product of the means),
    the two most alike become one, in the place of the first. The first `fixed` groups are as people have put them: they
    take others in, and do not become one with each other.
    """
    means = vectors.astype(np.float64)
    counts = np.array(sizes if sizes is not None else [1] * len(means), np.float64)
    alikeness = means @ means.T
    alikeness[:fixed, :fixed] = -np.inf
    np.fill_diagonal(alikeness, -np.inf)
    place_of = np.arange(len(means))
    while len(means) > 1:
        one, other = sorted(map(int, np.unravel_index(alikeness.argmax(), alikeness.shape)))
        if not alikeness[one, other] >= alike:
            break
        total = counts[one] + counts[other]
        row = (counts[one] * alikeness[one] + counts[other] * alikeness[other]) / total
        if one < fixed:
            row[:fixed] = -np.inf
        row[[one, other]] = -np.inf
        alikeness[one], alikeness[:, one] = row, row
        alikeness[other], alikeness[:, other] = -np.inf, -np.inf
        counts[one] = total
        place_of[place_of == other] = one
    return [int(place) for place in place_of]
