"""Files of past dialogues, read by a worker that tells how far it is."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import tzinfo
from pathlib import PurePath
from typing import IO, Any, Final

from django.core.files.storage import default_storage
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.customer_service.services.learning.dialogue_files import (
    BadRow,
    DialogueLine,
    dialogues_read,
    row_lines,
)
from apps.customer_service.services.learning.dialogue_imports import (
    ImportReport,
    dialogues_import,
    dialogues_store,
)
from apps.customer_service.services.learning.dialogue_lines import Fault
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.ids import uuid7
from rootstock.common.problems import Problem, invalid
from rootstock.jobs.models import Job
from rootstock.jobs.runner import JobContext, JobTakenOver, WorkerStopping
from rootstock.jobs.services import job_create
from rootstock.tenancy.scope import current_organisation_id

IMPORT_JOB: Final = "service.dialogues.import"
MOST_BYTES: Final = 512 * 2**20
ENDINGS: Final = (".csv", ".jsonl", ".ndjson", ".csv.gz", ".jsonl.gz", ".ndjson.gz")
# The share of the work that reading is; the rest is storing.
_READING: Final = 0.4
_TELL_EVERY: Final = 500


def import_start(*, file: Any, name: str, actor: Actor, encoding: str = "") -> Job:
    """Keep an uploaded file (with `chunks()` and `size`) and have it read in a job.

    Raises:
        Problem: 413, it is too large; 422, of a kind that is not read.
    """
    name = PurePath(name.replace("\\", "/")).name[-200:]
    if (file.size or 0) > MOST_BYTES:
        raise Problem(
            413, "too-large", _("A file has at most %(most)s MB.") % {"most": MOST_BYTES // 2**20}
        )
    if not name.casefold().endswith(ENDINGS):
        raise invalid(
            "/file", _("Give a file of the kind .csv or .jsonl (gzipped if you like: .csv.gz).")
        )
    path = default_storage.save(f"service/{current_organisation_id().hex}/{uuid7().hex}", file)
    job = job_create(
        IMPORT_JOB,
        title=_("Import dialogues: %(name)s") % {"name": name[:150]},
        params={
            "path": path,
            "name": name,
            "encoding": encoding,
            # What is wrong with rows is told in the words, and times are read in the zone, of whoever gave the file.
            "language": translation.get_language() or "en",
            "zone": timezone.get_current_timezone_name(),
        },
        actor=actor,
    )
    audit_record(actor=actor, action="service.dialogues.import", target=name, target_id=str(job.pk))
    return job


def dialogues_given(
    dialogues: Iterable[Mapping[str, Any]], *, zone: tzinfo, actor: Actor
) -> ImportReport:
    """Store a few dialogues, each a row with its turns, inside the caller's transaction.

    One that cannot be used is reported under its number from 1, the others are stored.
    """
    good, bad = [], []
    for number, row in enumerate(dialogues, start=1):
        try:
            lines = row_lines(row, line=number, zone=zone, now=timezone.now())
        except Fault as fault:
            bad.append(BadRow(number, str(fault), fault.column))
        else:
            good.append(lines)
    report = dialogues_store(good)
    for refused in bad:
        report.refuse(refused)
    audit_record(
        actor=actor,
        action="service.dialogues.import",
        target="",
        target_id="",
        changes={"created": report.created, "grown": report.grown},
    )
    return report


def execute_import(context: JobContext) -> dict[str, Any]:
    """Read the job's file; called again after a crash it changes nothing of what it had stored.

    Raises:
        FileRefused: the file as a whole cannot be read.
    """
    path: str = context.params["path"]
    try:
        report = _import(context, path)
    except (JobTakenOver, WorkerStopping):
        # Another worker needs the file.
        raise
    except Exception:
        default_storage.delete(path)
        raise
    default_storage.delete(path)
    return report.as_json()


def _import(context: JobContext, path: str) -> ImportReport:
    params = context.params
    size = max(1, default_storage.size(path))
    with translation.override(params["language"]), default_storage.open(path, "rb") as file:
        raw: IO[bytes] = file.file  # type: ignore[assignment]  # it was opened just now

        def reading(count: int) -> None:
            context.progress(
                fraction=_READING * min(1.0, raw.tell() / size),
                phase=gettext_noop("reading"),
                message=f"{count:,}",
            )

        def storing(done: int, count: int) -> None:
            context.progress(
                fraction=_READING + (1 - _READING) * done / count,
                phase=gettext_noop("storing"),
                message=f"{done:,} / {count:,}",
            )

        rows = dialogues_read(
            raw,
            name=params["name"],
            zone=zoneinfo.ZoneInfo(params["zone"]),
            now=timezone.now(),
            encoding=params["encoding"],
        )
        return dialogues_import(
            organisation_id=context.organisation_id,
            rows=_told(rows, reading),
            on_batch=storing,
        )


def _told(
    rows: Iterable[DialogueLine | BadRow], tell: Callable[[int], None]
) -> Iterator[DialogueLine | BadRow]:
    for count, row in enumerate(rows, start=1):
        if count % _TELL_EVERY == 0:
            tell(count)
        yield row
