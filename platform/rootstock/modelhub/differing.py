"""The rows that two versions answer differently, from what was kept of their evaluations."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, overload

from django.utils.translation import gettext as _

from ml_core.data import row_text
from ml_core.evaluation import Answers
from rootstock.modelhub.models import AnswerSheet, ModelVersion, Snapshot, Split
from rootstock.modelhub.services.examples import answer_of, answer_text
from rootstock.modelhub.storage import StorageProblem, absolute_path, local_file

# Whose rows: all on which they differ, or those that only one of them answers rightly (or better, by degrees).
Only = Literal["", "first", "second"]
ONLY: tuple[Only, ...] = ("", "first", "second")
# Parts in the order of preference.
_PARTS = (Split.TEST, Split.VALIDATION, Split.TRAIN)
_MOST_CHARACTERS = 2000
# How a task's answer is called in a row; see `answer_text`.
_ANSWER_KEYS = {
    "multi-label-classification": "labels",
    "token-classification": "tags",
    "text-generation": "response",
}


class NotComparable(Exception):
    """There are no answers of both to the same rows; the message is for people."""


@dataclass(frozen=True)
class DifferingRow:
    """A row, the right answer and the two given ones; `better` is whose is right, or nearer to it, "" for neither's.

    `line` is that of the snapshot's part; confidences are None where the task's models give none.
    """

    line: int
    text: str
    truth: str
    first: str
    second: str
    first_confidence: float | None
    second_confidence: float | None
    better: Only


class Differing(Sequence[DifferingRow]):
    """The rows of one part of a snapshot that two versions answer differently, most surely mistaken rows first.

    Texts are read only of the rows that are looked at; ask for a slice of them.
    """

    def __init__(self, first: AnswerSheet, second: AnswerSheet, *, only: Only = "") -> None:
        """Raises NotComparable."""
        self.snapshot, self.split = first.snapshot, first.split
        self._answers = [_read(sheet) for sheet in (first, second)]
        if list(self._answers[0].lines) != list(self._answers[1].lines):
            raise NotComparable(_("The two versions have not answered the same rows."))
        self.rows = len(self._answers[0])
        self._places = [
            at for at in range(self.rows) if self._differ(at) and only in ("", self._better(at))
        ]
        self._places.sort(key=lambda at: (-self._surely_wrong(at), at))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> DifferingRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[DifferingRow]: ...
    def __getitem__(self, index: int | slice) -> DifferingRow | list[DifferingRow]:
        if isinstance(index, slice):
            return self._shown(self._places[index])
        return self._shown([self._places[index]])[0]

    def _shown(self, places: list[int]) -> list[DifferingRow]:
        task = self.snapshot.dataset.task
        lines = [self._answers[0].lines[at] for at in places]
        contents = _contents(absolute_path(self.snapshot.path) / f"{self.split}.jsonl", lines)
        return [
            self._row(at, task, contents.get(line, {}))
            for at, line in zip(places, lines, strict=True)
        ]

    def _row(self, at: int, task: str, content: dict[str, Any]) -> DifferingRow:
        first, second = self._answers
        said = [_said(task, answers.said[at], content) for answers in self._answers]
        return DifferingRow(
            line=first.lines[at],
            text=row_text(task, content)[:_MOST_CHARACTERS] if content else "",
            truth=answer_text(task, answer_of(task, content), content) if content else "",
            first=said[0],
            second=said[1],
            first_confidence=_confidence(first, at),
            second_confidence=_confidence(second, at),
            better=self._better(at),
        )

    def _differ(self, at: int) -> bool:
        first, second = self._answers
        return bool(first.said[at] != second.said[at])

    def _better(self, at: int) -> Only:
        first, second = (float(answers.scores[at]) for answers in self._answers)
        if self._answers[0].judged:
            first, second = float(first >= 1), float(second >= 1)
        return "first" if first > second else "second" if second > first else ""

    def _surely_wrong(self, at: int) -> float:
        """How sure the mistaken ones of the two were."""
        sure = [
            _confidence(answers, at) or 0.0 for answers in self._answers if answers.scores[at] < 1
        ]
        return max(sure, default=0.0)


def sheet_pairs(
    versions: Sequence[ModelVersion],
) -> list[tuple[AnswerSheet, AnswerSheet]]:
    """For every two of these versions, in their order, the answers of both to the same rows; of several parts the one
    that says most. Pairs without are left out."""
    ids = [version.pk for version in versions]
    sheets = AnswerSheet.objects.filter(version__in=ids).select_related(
        "version", "snapshot__dataset"
    )
    return _pairs(versions, sheets)


def sheet_pair(
    first: ModelVersion,
    second: ModelVersion,
    *,
    snapshot: Snapshot | None = None,
    split: str | None = None,
) -> tuple[AnswerSheet, AnswerSheet]:
    """The answers of two versions to the same rows, on this part if one is named.

    Raises:
        NotComparable: they are not kept of both.
    """
    sheets = AnswerSheet.objects.filter(version__in=[first.pk, second.pk]).select_related(
        "version", "snapshot__dataset"
    )
    if snapshot is not None:
        sheets = sheets.filter(snapshot=snapshot)
    if split is not None:
        sheets = sheets.filter(split=split)
    found = _pairs([first, second], sheets)
    if not found:
        raise NotComparable(
            _(
                "The answers of both versions to the same rows are not kept. Measure both on the same part of a "
                "snapshot; the gate does so with a version and the deployed one."
            )
        )
    return found[0]


def _pairs(
    versions: Sequence[ModelVersion], sheets: Iterable[AnswerSheet]
) -> list[tuple[AnswerSheet, AnswerSheet]]:
    of_version: dict[Any, dict[tuple[Any, str], AnswerSheet]] = {}
    for sheet in sheets:
        of_version.setdefault(sheet.version_id, {})[sheet.snapshot_id, sheet.split] = sheet
    found = []
    for first, second in combinations(versions, 2):
        ours, theirs = of_version.get(first.pk, {}), of_version.get(second.pk, {})
        common = sorted(
            ours.keys() & theirs.keys(),
            # The first version's own snapshot before others, of these the newest.
            key=lambda key: (
                _PARTS.index(Split(key[1])),
                key[0] != first.snapshot_id,
                -key[0].int,
            ),
        )
        if common:
            found.append((ours[common[0]], theirs[common[0]]))
    return found


def _read(sheet: AnswerSheet) -> Answers:
    try:
        return Answers.read(local_file(sheet.path, sheet.sha256))
    except (StorageProblem, ValueError, OSError) as error:
        problem = _("The answers of %(version)s cannot be read: %(problem)s")
        raise NotComparable(
            problem % {"version": sheet.version.label, "problem": str(error)}
        ) from error


def _contents(file: Path, lines: Collection[int]) -> dict[int, dict[str, Any]]:
    """The rows of these lines; none when the snapshot's files are not on this machine."""
    wanted = set(lines)
    if not wanted or not file.is_file():
        return {}
    last = max(wanted)
    found: dict[int, dict[str, Any]] = {}
    with file.open(encoding="utf-8") as rows:
        for number, row in enumerate(rows, start=1):
            if number in wanted:
                found[number] = json.loads(row)
            if number == last:
                break
    return found


def _said(task: str, said: Any, content: dict[str, Any]) -> str:
    key = _ANSWER_KEYS.get(task, "label")
    return answer_text(task, {key: said}, content)


def _confidence(answers: Answers, at: int) -> float | None:
    return float(answers.confidence[at]) if len(answers.confidence) else None
