"""Measuring a version after its training, and the gate from its figures to a stored report. Jobs come here."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from rootstock.common.actors import Actor
from rootstock.common.ids import uuid7
from rootstock.modelhub import gate
from rootstock.modelhub.models import ModelVersion, Snapshot
from rootstock.modelhub.services.answers import ANSWERS_FILE, answers_keep, answers_store
from rootstock.modelhub.services.gate import (
    evaluation_store,
    figures_stored,
    gate_candidate,
    gate_store,
)
from rootstock.modelhub.storage import (
    StorageProblem,
    StoreUnavailable,
    absolute_path,
    local_artifact,
)
from rootstock.modelhub.training_process import TrainingFailed, run_command
from rootstock.tenancy.scope import organisation_scope

# Phases in the order in which they come.
MEASURE = gettext_noop("Measure")
CHECK = gettext_noop("Make the checks")
# Of the whole, when something has to be measured: checks take seconds, measuring minutes.
_MEASURE_PART = 0.85

# (fraction of the whole, phase in English, message)
OnProgress = Callable[[float, str, str], None]


def execute_evaluation(
    *,
    organisation_id: uuid.UUID,
    version_id: uuid.UUID,
    snapshot_id: uuid.UUID,
    split: str,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Measure a version on one part of a snapshot and keep the report. Call it outside any transaction.

    Raises:
        TrainingFailed: it cannot be measured; the message is for people.
    """
    with organisation_scope(organisation_id):
        version = ModelVersion.objects.get(pk=version_id)
        snapshot = Snapshot.objects.select_related("dataset").get(pk=snapshot_id)
    need = gate.Need(version, snapshot, split)
    figures = gate.Figures()
    _measure(organisation_id, need, lambda: on_progress(0.05, MEASURE, str(snapshot)), figures)
    return {
        "version": str(version.pk),
        "snapshot": str(snapshot.pk),
        "split": split,
        "headline": figures.reports[need.key].get("headline"),
    }


def execute_gate(
    *,
    organisation_id: uuid.UUID,
    version_id: uuid.UUID,
    deployment: str,
    actor: Actor,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Measure what is missing, ask every check, keep the report. Call it outside any transaction.

    What cannot be measured is said in the verdict of the check that needs it. An exception of `on_progress` ends it;
    what has been measured by then is kept, so that the next attempt goes on from there.
    """
    with organisation_scope(organisation_id):
        version = ModelVersion.objects.get(pk=version_id)
        candidate, policy = gate_candidate(version=version, deployment=deployment)
        needs = gate.gate_needs(candidate, policy)
        figures = figures_stored(needs)
    missing = [need for need in needs if figures.report(need) is None]
    for place, need in enumerate(missing):
        share = _MEASURE_PART * place / len(missing)
        words = f"{need.version.label} · {need.snapshot} ({place + 1}/{len(missing)})"
        tick = _ticker(on_progress, share, words)
        try:
            _measure(organisation_id, need, tick, figures)
        except TrainingFailed as error:
            figures.problems[need.key] = str(error)[:500]
    begun = _MEASURE_PART if missing else 0.0
    asked = 0

    def tell(check: gate.Check) -> None:
        nonlocal asked
        on_progress(begun + (0.99 - begun) * asked / len(policy), CHECK, _(check.title))
        asked += 1

    verdicts = gate.judge(candidate, policy, figures, on_check=tell)
    with organisation_scope(organisation_id):
        report = gate_store(candidate=candidate, policy=policy, verdicts=verdicts, actor=actor)
    return {
        "report": str(report.pk),
        "version": str(version_id),
        "deployment": deployment,
        "passed": report.passed,
    }


def _ticker(on_progress: OnProgress, fraction: float, words: str) -> Callable[[], None]:
    return lambda: on_progress(fraction, MEASURE, words)


def _measure(
    organisation_id: uuid.UUID, need: gate.Need, tick: Callable[[], None], figures: gate.Figures
) -> None:
    """Run `ml_core evaluate` in a process of its own, under the limits of a training; store report and answers and
    add them to the figures.

    Raises:
        TrainingFailed: the files are not there, the labels do not fit, or it takes too much memory.
    """
    tick()
    data = absolute_path(need.snapshot.path) / f"{need.split}.jsonl"
    if not data.is_file():
        raise TrainingFailed("bad-input", _("The files of the snapshot are not on this machine."))
    try:
        artifact = local_artifact(need.version.artifact_path, need.version.digest)
    except StorageProblem as error:
        raise TrainingFailed("artifact", str(error)) from error
    directory = Path(settings.VAR) / "training" / f"evaluate-{uuid7()}"
    directory.mkdir(parents=True)
    answers = directory / ANSWERS_FILE
    started = time.monotonic()
    try:
        ended = run_command(
            ["evaluate", str(artifact), "--data", str(data), "--answers", str(answers)],
            directory=directory,
            memory_mb=settings.TRAINING_MEMORY_MB,
            tick=tick,
        )
        kept = answers_keep(organisation_id, answers)
    except StoreUnavailable as error:
        raise TrainingFailed("artifact", str(error)) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    report: dict[str, Any] = json.loads(ended.output.strip().splitlines()[-1])
    with organisation_scope(organisation_id):
        evaluation_store(need=need, report=report, seconds=time.monotonic() - started)
        sheet = answers_store(
            version=need.version, snapshot=need.snapshot, split=need.split, kept=kept
        )
    figures.reports[need.key] = report
    if sheet is not None:
        figures.sheets[need.key] = sheet
