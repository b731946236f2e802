"""What a report says, as far as comparing it with another needs it: names, words, meaning, time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from ml_core.text import normalise
from ml_core.text.duplicates import shingles
from ml_core.threads.names import find_names

# A report is its headline and its first lines; what follows is background, which reports of other events share.
REPORT_CHARACTERS = 400

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
# "7月3日…晚报": an edition of a series, which comes every day in the same words.
_DATED = re.compile(r"\d{1,2}月\d{1,2}日|\d{4}年\d{1,2}月")


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """One text of a stream, ready to be compared. Made by `read_report`."""

    title: str
    published_at: datetime
    vector: npt.NDArray[np.float32]
    """Meaning: numbers of norm 1, of `report_text`, by rootstock-mini."""
    names: frozenset[str]
    """Keys of names and linked entities in the title, the same in both languages."""
    source: str
    shingles: frozenset[str]
    chinese: bool
    dated: bool


def report_text(title: str, body: str = "") -> str:
    """What an encoder reads of a report."""
    return normalise(f"{title}\n{body}" if body else title)[:REPORT_CHARACTERS]


def read_report(
    *,
    title: str,
    published_at: datetime,
    vector: npt.NDArray[np.float32],
    source: str = "",
    entities: Iterable[str] = (),
) -> Report:
    """A report of its title, the vector of its `report_text`, and the keys of entities that were linked in it.

    Raises:
        ValueError: the time has no zone.
    """
    if published_at.tzinfo is None:
        raise ValueError(f"published_at {published_at.isoformat()} has no time zone")
    text = normalise(title)
    return Report(
        title=text,
        published_at=published_at,
        vector=vector,
        names=find_names(text) | frozenset(entities),
        source=source,
        shingles=frozenset(shingles(text)),
        chinese=bool(_CHINESE.search(text)),
        dated=bool(_DATED.search(text)),
    )
