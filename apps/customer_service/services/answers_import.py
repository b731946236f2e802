"""Prepared answers from a table, and back: CSV and XLSX with a row an answer. A job, since thousands take a while."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import get_language, gettext_noop, override
from django.utils.translation import gettext as _

from apps.customer_service.inference.text import language_of
from apps.customer_service.models import Answer
from apps.customer_service.services.answers import answer_remove, answer_save, draft_answers
from apps.customer_service.services.reading.document import Unreadable
from apps.customer_service.services.reading.process import file_read
from apps.customer_service.services.reading.rows import rows_of
from apps.customer_service.services.spreadsheets import cell_harmless, cell_text
from rootstock.common.actors import Actor
from rootstock.common.ids import uuid7
from rootstock.common.problems import Problem, invalid
from rootstock.jobs.models import Job
from rootstock.jobs.runner import JobContext, JobTakenOver, WorkerStopping
from rootstock.jobs.services import job_create
from rootstock.tenancy.scope import current_organisation_id

IMPORT_JOB = "service.answers_import"
MAX_BYTES = 8 * 2**20
MOST_ROWS = 5_000
COLUMNS = ("intent", "title", "answer_en", "answer_zh", "questions", "audiences")
# Other names of the columns, as people and other products call them.
_NAMES = {
    "intent": {"intent", "意图"},
    "title": {"title", "question", "标题", "问题", "標題", "問題", "标准问"},
    "answer_en": {"answer_en", "en", "english", "英文", "英文回答"},
    "answer_zh": {"answer_zh", "zh", "chinese", "中文", "中文回答"},
    "answer": {"answer", "回答", "答案", "回复"},
    "questions": {"questions", "similar", "similar questions", "相似问", "相似问题", "相似问法"},
    "audiences": {"audiences", "audience", "受众"},
}
_SEPARATOR = "|"
_STEP = 20
_NAMED = 200


@dataclass(slots=True)
class Report:
    """What became of a file. `refused`: [row of the file from 1, why], the first 200 of `refused_count`."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused_count: int = 0
    refused: list[list[Any]] = field(default_factory=list)

    def refuse(self, row: int, reason: str) -> None:
        """Name a row that was left out."""
        self.refused_count += 1
        if len(self.refused) < _NAMED:
            self.refused.append([row, reason])


def answers_import_start(*, name: str, data: bytes, actor: Actor) -> Job:
    """Have the answers of a table added to the draft; one whose intent, or title, is there is changed.

    Raises:
        Problem: 413 when the file is too large, 422 when it is neither CSV nor XLSX.
    """
    if len(data) > MAX_BYTES:
        raise Problem(
            413, "too-large", _("A file has at most %(most)s MB.") % {"most": MAX_BYTES // 2**20}
        )
    if PurePosixPath(name.lower()).suffix not in {".csv", ".tsv", ".xlsx"}:
        raise invalid("/file", _("Use a CSV or XLSX file."))
    path = default_storage.save(
        f"service/{current_organisation_id().hex}/import-{uuid7().hex}", ContentFile(data)
    )
    return job_create(
        IMPORT_JOB,
        title=_("Import answers from “%(name)s”") % {"name": name[:120]},
        params={
            "path": path,
            "name": name[:300],
            "language": get_language() or "en",
            "actor": asdict(actor),
        },
        actor=actor,
    )


def execute_answers_import(context: JobContext) -> dict[str, Any]:
    """Do what the job asks for. Done again after a crash it finds what it has stored unchanged.

    Raises:
        Problem: 422, the file as a whole cannot be read.
    """
    params = context.params
    path, report = Path(default_storage.path(params["path"])), Report()
    with override(params["language"]):
        try:
            context.progress(0.0, phase=gettext_noop("read"), message=params["name"])
            rows = list(_table(path, params["name"], context))
            for start in range(0, len(rows), _STEP):
                context.progress(start / len(rows), phase=gettext_noop("store"))
                with context.scope():
                    _store(rows[start : start + _STEP], Actor(**params["actor"]), report)
        except (JobTakenOver, WorkerStopping):
            raise
        except BaseException:
            default_storage.delete(params["path"])
            raise
    default_storage.delete(params["path"])
    return asdict(report)


def answers_export() -> str:
    """The answers of the draft as CSV that the import takes."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for answer in draft_answers():
        cells = [
            answer.intent,
            answer.title,
            answer.bodies.get("en", ""),
            answer.bodies.get("zh", ""),
            _SEPARATOR.join(answer.questions),
            _SEPARATOR.join(answer.audiences),
        ]
        writer.writerow([cell_harmless(cell) for cell in cells])
    return out.getvalue()


def _table(path: Path, name: str, context: JobContext) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows that hold something, with their places in the file and their cells by column."""
    try:
        rows = rows_of(file_read(path, name=name, check=context.check, rows=True))
    except Unreadable as error:
        raise invalid("/file", _(error.text) % error.values) from error
    columns: dict[str, int] = {}
    filled = 0
    for number, row in enumerate(rows, 1):
        if not any(row):
            continue
        if not columns:
            columns = _columns(row)
            continue
        filled += 1
        if filled > MOST_ROWS:
            raise invalid(
                "/file", _("A file has at most %(most)s answers.") % {"most": f"{MOST_ROWS:,}"}
            )
        yield number, {name: row[at] for name, at in columns.items() if at < len(row)}


def _columns(row: list[str]) -> dict[str, int]:
    names = [" ".join(cell.casefold().removeprefix("\ufeff").split()) for cell in row]
    found = {
        column: place
        for column, known in _NAMES.items()
        for place, name in reversed(list(enumerate(names)))
        if name in known
    }
    if "title" not in found or not found.keys() & {"answer", "answer_en", "answer_zh"}:
        raise invalid(
            "/file",
            _(
                "The first row must name the columns: “title”, and “answer”, “answer_en” or “answer_zh”."
            ),
        )
    return found


def _store(rows: list[tuple[int, dict[str, str]]], actor: Actor, report: Report) -> None:
    for number, cells in rows:
        values = _values(cells)
        answer = _known(values)
        if answer is not None:
            values["bodies"] = {**answer.bodies, **values["bodies"]}
            if answer.removed_at is not None:
                answer_remove(answer=answer, actor=actor, removed=False)
            elif all(getattr(answer, name) == value for name, value in values.items()):
                report.unchanged += 1
                continue
        try:
            with transaction.atomic():
                answer_save(
                    values=values, actor=actor, answer=answer, origin=Answer.Origin.IMPORTED
                )
        except Problem as problem:
            report.refuse(number, str(problem.detail))
            continue
        report.created += answer is None
        report.updated += answer is not None


def _values(cells: Mapping[str, str]) -> dict[str, Any]:
    """Of a row what `answer_save` takes; a cell that is empty changes nothing."""
    plain = {name: cell_text(text).strip() for name, text in cells.items()}
    bodies = {
        language: plain[f"answer_{language}"]
        for language in ("en", "zh")
        if plain.get(f"answer_{language}")
    }
    if plain.get("answer"):
        bodies.setdefault(language_of(plain["answer"]), plain["answer"])
    values: dict[str, Any] = {"title": " ".join(plain["title"].split())[:300], "bodies": bodies}
    if plain.get("intent"):
        values["intent"] = plain["intent"]
    for name in ("questions", "audiences"):
        if plain.get(name):
            parts = plain[name].replace("\n", _SEPARATOR).split(_SEPARATOR)
            values[name] = [each for part in parts if (each := " ".join(part.split()))]
    return values


def _known(values: Mapping[str, Any]) -> Answer | None:
    """The answer that a row changes, also one that was removed: its intent is taken."""
    if "intent" in values:
        return Answer.objects.filter(intent=values["intent"]).first()
    return Answer.objects.filter(title=values["title"], removed_at=None).order_by("pk").first()
