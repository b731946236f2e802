"""Questions to evaluate by: written one by one, or many in a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from apps.customer_service.inference.text import language_of
from apps.customer_service.models import EvaluationQuestion
from apps.customer_service.services.reading.decoding import decode
from apps.customer_service.services.reading.document import Unreadable
from apps.customer_service.services.spreadsheets import cell_harmless, cell_text
from rootstock.common.problems import Problem, invalid

MOST_QUESTIONS = 5_000
LONGEST_QUESTION = 2_000
_LISTS = {"document_keys": 2000, "intents": 120, "must_contain": 200}
COLUMNS = ("question", *_LISTS, "unanswerable")
# Between several values in one cell.
_SEPARATOR = "|"


@dataclass(slots=True)
class Imported:
    """What became of a file: lines count from 1."""

    created: int = 0
    updated: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


def question_save(
    *, values: Mapping[str, Any], question: EvaluationQuestion | None = None
) -> EvaluationQuestion:
    """Add a question, or change one.

    Raises:
        Problem: 422 names the value that cannot be; 409, there are too many.
    """
    if question is None:
        if EvaluationQuestion.objects.count() >= MOST_QUESTIONS:
            raise Problem(
                409,
                "too-many",
                _("There are at most %(most)s questions.") % {"most": MOST_QUESTIONS},
            )
        question = EvaluationQuestion()
    text = " ".join(str(values.get("question", question.question)).replace("\x00", "").split())
    if not 0 < len(text) <= LONGEST_QUESTION:
        raise invalid("/question", _("A question has 1 to 2,000 characters."))
    question.question, question.language = text, language_of(text)
    for name, longest in _LISTS.items():
        given = [
            str(each).replace("\x00", "").strip()
            for each in values.get(name, getattr(question, name))
        ]
        if len(given) > 50 or any(len(each) > longest for each in given):
            raise invalid(f"/{name}", _("There are at most 50 values, each of a sensible length."))
        setattr(question, name, [each for each in given if each])
    question.unanswerable = bool(values.get("unanswerable", question.unanswerable))
    if question.unanswerable and (question.document_keys or question.intents):
        raise invalid(
            "/unanswerable", _("What should not be answered has no source that answers it.")
        )
    question.save()
    return question


def questions_import(data: bytes, *, name: str) -> Imported:
    """Add the questions of a CSV or JSON lines file; one that is there already gets the values of the file.

    Raises:
        Problem: 422, the file as a whole cannot be read.
    """
    try:
        text = decode(data)
    except Unreadable as error:
        raise invalid("/file", str(error)) from error
    imported = Imported()
    known = {each.question: each for each in EvaluationQuestion.objects.all()}
    rows = _csv_rows(text) if name.lower().endswith((".csv", ".tsv")) else _json_rows(text)
    for line, row in rows:
        if isinstance(row, str):
            imported.bad.append((line, row))
            continue
        before = known.get(" ".join(str(row.get("question", "")).split()))
        try:
            saved = question_save(values=row, question=before)
        except Problem as problem:
            imported.bad.append((line, str(problem.detail)))
            continue
        known[saved.question] = saved
        imported.created += before is None
        imported.updated += before is not None
    return imported


def questions_export(*, as_csv: bool) -> str:
    """All questions as a file that `questions_import` takes."""
    rows = [
        {name: getattr(question, name) for name in COLUMNS}
        for question in EvaluationQuestion.objects.order_by("pk")
    ]
    if not as_csv:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        lists = [_SEPARATOR.join(row[name]) for name in _LISTS]
        writer.writerow(
            [cell_harmless(cell) for cell in (row["question"], *lists)]
            + ["yes" if row["unanswerable"] else ""]
        )
    return out.getvalue()


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    if "question" not in (reader.fieldnames or []):
        raise invalid(
            "/file",
            _("The first line must name the columns; there are: %(all)s.")
            % {"all": ", ".join(COLUMNS)},
        )
    try:
        for row in reader:
            values: dict[str, Any] = {"question": cell_text(row["question"] or "")}
            for name in _LISTS:
                values[name] = (row.get(name) or "").split(_SEPARATOR)
            values["unanswerable"] = (row.get("unanswerable") or "").strip().lower() in {
                "yes",
                "true",
                "1",
                "是",
            }
            yield reader.line_num, values
    except csv.Error as error:
        yield reader.line_num, _("This is not CSV: %(error)s.") % {"error": error}


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, _("This is not JSON.")
            continue
        if not isinstance(row, dict) or not all(
            isinstance(row.get(name, []), list) for name in _LISTS
        ):
            yield number, _("The line is not an object with the fields of a question.")
            continue
        yield number, row
