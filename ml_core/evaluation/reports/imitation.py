"""The report of an encoder that learns a teacher's sentence embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ml_core.evaluation.intervals import bootstrap_mean
from ml_core.evaluation.reports.common import Report, aligned


@dataclass(frozen=True, kw_only=True)
class ImitationReport(Report):
    """How near a student's embeddings are to its teacher's.

    ``teacher_cosine``: mean cosine of the student's embedding of a text and the teacher's of the text or of its
    translation. For pairs of a text and its translation also ``source_cosine``, the same for the student's own
    embedding of the text that the teacher read, and the share of texts whose translation is the nearest of all
    (``there``), of translations whose text is (``back``), and the mean of both (``matched``), the headline; these are
    NaN where there are no translations, and the headline is then ``teacher_cosine``.
    """

    kind: ClassVar[str] = "imitation"

    teacher_cosine: float
    source_cosine: float
    there: float
    back: float
    matched: float


def build_imitation_report(
    students: np.ndarray, teachers: np.ndarray, sources: np.ndarray | None = None
) -> ImitationReport:
    """Compare embeddings (texts, d) of norm 1: the student's, the teacher's, and for pairs the student's of the text
    that the teacher read. Among equally near texts the right one comes last.

    Raises ValueError for no texts or arrays of different lengths.
    """
    aligned(len(students), teachers=teachers, sources=sources)
    cosines = (students * teachers).sum(1)
    intervals = {"teacher_cosine": bootstrap_mean(cosines)}
    nothing = float("nan")
    source = there = back = matched = nothing
    if sources is not None:
        found = np.stack([_nearest(students, sources), _nearest(sources, students)])
        there, back = (float(each.mean()) for each in found)
        matched = float(found.mean())
        source = float((sources * teachers).sum(1).mean())
        intervals |= {
            "there": bootstrap_mean(found[0]),
            "back": bootstrap_mean(found[1]),
            "matched": bootstrap_mean(found.mean(0)),
        }
    return ImitationReport(
        headline="teacher_cosine" if sources is None else "matched",
        count=len(students),
        intervals=intervals,
        teacher_cosine=float(cosines.mean()),
        source_cosine=source,
        there=there,
        back=back,
        matched=matched,
    )


def _nearest(queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """1.0 for each query whose own document is nearer than every other, else 0.0."""
    found = np.empty(len(queries))
    for start in range(0, len(queries), 256):
        scores = queries[start : start + 256] @ documents.T
        rows = np.arange(len(scores))
        own = scores[rows, rows + start].copy()
        scores[rows, rows + start] = -np.inf
        found[start : start + 256] = own > scores.max(1, initial=-np.inf)
    return found
