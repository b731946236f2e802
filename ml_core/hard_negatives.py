"""Find texts that are near an anchor and yet not what belongs to it, to learn the difference from.

Random negatives are soon too easy. The nearest texts of a corpus are hard ones, but among the very nearest are right
answers that nobody marked; those within a margin of the marked one are passed over (Moreira et al. 2024, NV-Retriever).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml_core.data.errors import DataError
from ml_core.data.rows import Row, read_rows, write_rows
from ml_core.models.bases import AUTO, default_base
from ml_core.training.starting_base import text_languages

_ANCHORS_AT_ONCE = 256


@dataclass(frozen=True)
class Mined:
    """``rows`` to train text-embedding on; of the ``pairs`` they were made from, ``without`` found no negative and are
    there as they were."""

    rows: list[dict[str, Any]]
    pairs: int
    without: int


def mine_negatives(
    pairs: Sequence[Row],
    corpus: Sequence[str],
    embed: Callable[[Sequence[str]], np.ndarray],
    *,
    count: int = 1,
    depth: int = 50,
    margin: float = 0.05,
) -> Mined:
    """Give each pair (``anchor``, ``positive``) up to ``count`` negatives, one a row, from ``corpus``.

    A negative is one of the ``depth`` texts nearest to the anchor, none of the anchor's positives, and by at least
    ``margin`` (a difference of cosines) farther from it than the pair's positive. ``embed`` gives vectors (texts, d) of
    norm 1. Pairs that have a negative keep it and get more.
    """
    positives: dict[str, set[str]] = defaultdict(set)
    for row in pairs:
        positives[row.content["anchor"]].add(row.content["positive"])
    texts = list(dict.fromkeys([*corpus, *(row.content["positive"] for row in pairs), *positives]))
    place = {text: number for number, text in enumerate(texts)}
    vectors = embed(texts)
    candidates = list(dict.fromkeys(corpus))
    table = vectors[[place[text] for text in candidates]]
    kept = min(depth, len(candidates))
    mined: list[dict[str, Any]] = []
    without = 0
    for start in range(0, len(pairs), _ANCHORS_AT_ONCE):
        part = pairs[start : start + _ANCHORS_AT_ONCE]
        anchors = vectors[[place[row.content["anchor"]] for row in part]]
        right = vectors[[place[row.content["positive"]] for row in part]]
        limits = (anchors * right).sum(1) - margin
        cosines = anchors @ table.T
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :kept]
        for number, row in enumerate(part):
            anchor = row.content["anchor"]
            taboo = positives[anchor] | {anchor, row.content.get("negative", anchor)}
            found = [
                candidates[at]
                for at in nearest[number]
                if cosines[number, at] <= limits[number] and candidates[at] not in taboo
            ][:count]
            if "negative" in row.content or not found:
                mined.append(dict(row.content))
            mined += [row.content | {"negative": text} for text in found]
            without += not found
    return Mined(mined, len(pairs), without)


def mine_negatives_file(
    data: Path,
    out: Path,
    *,
    corpus: Path | None = None,
    model: str = AUTO,
    max_length: int = 256,
    device: str = "auto",
    count: int = 1,
    depth: int = 50,
    margin: float = 0.05,
) -> Mined:
    """`mine_negatives` from and to files: ``corpus`` has rows with a ``text`` (without it the positives of ``data``
    are the corpus); ``model`` is an artefact of text-embedding or a base, "auto" the default one for their languages.

    Raises DataError, ArtifactError, BaseModelError, and ValueError for a device this machine has not.
    """
    pairs = list(read_rows(data, "text-embedding"))
    scored = next((row for row in pairs if "score" in row.content), None)
    if scored is not None:
        raise DataError(
            "a pair with a score; negatives are for pairs without", path=data, line=scored.line
        )
    if corpus is None:
        texts = [row.content["positive"] for row in pairs]
    else:
        texts = [row.content["text"] for row in read_rows(corpus, "masked-language-model")]

    from ml_core.models.embedding import EmbeddingPredictor
    from ml_core.registry.artifact import MANIFEST

    if model == AUTO:
        model = default_base(text_languages(texts))
    if (Path(model) / MANIFEST).is_file():
        embedder = EmbeddingPredictor.load(model, device=device)
    else:
        embedder = EmbeddingPredictor.from_base(model, max_length=max_length, device=device)
    mined = mine_negatives(pairs, texts, embedder.embed, count=count, depth=depth, margin=margin)
    write_rows(out, mined.rows, task="text-embedding")
    return mined
