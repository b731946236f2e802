"""The jobs of the gate as a worker runs them: what is missing is measured, the report is kept, a stop is a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from modelhub_helpers import ACTOR, make_snapshot

from ml_core.evaluation import Answers
from rootstock.jobs import runner
from rootstock.jobs import services as jobs
from rootstock.jobs.models import Job
from rootstock.modelhub import evaluations, selectors, services
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import AnswerSheet, Evaluation, GateReport, ModelVersion, Snapshot
from rootstock.modelhub.storage import absolute_path, artifact_publish, local_file
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

NAME = "finance.sentiment"
# Each test measures with a (tiny) model in a process of its own.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("live_db", "loaded", "var")]


@pytest.fixture
def two(
    live_db: None, organisation: Organisation, artifacts: Path, place_artifact: Callable[[], str]
) -> tuple[ModelVersion, ModelVersion, Snapshot]:
    """A deployed version, a candidate that was trained on another snapshot, and that snapshot."""
    with organisation_scope(organisation.pk):
        old, new = make_snapshot("a", 60), make_snapshot("b", 90)
        one = services.version_register(
            name=NAME,
            artifact_path=place_artifact(),
            actor=ACTOR,
            snapshot=old,
            metrics={"test": {"macro_f1": 0.9}},
        )
        services.version_promote(version=one, actor=ACTOR)
        candidate = services.version_register(
            name=NAME,
            artifact_path=place_artifact(),
            actor=ACTOR,
            snapshot=new,
            parent=one,
            metrics={"test": {"macro_f1": 1.0}},
        )
    return one, candidate, new


def work(job: Job) -> Job:
    """What a worker does with the job's message; the job afterwards."""
    with organisation_scope(job.organisation_id):
        claimed = jobs.job_claim(job.pk)
    assert claimed is not None
    runner.execute(claimed)
    with organisation_scope(job.organisation_id):
        return Job.objects.get(pk=job.pk)


def test_what_is_missing_is_measured_and_the_verdicts_are_kept(
    two: tuple[ModelVersion, ModelVersion, Snapshot], organisation: Organisation
) -> None:
    one, candidate, snapshot = two
    with organisation_scope(organisation.pk):
        job = services.gate_start(version=candidate, deployment=NAME, actor=ACTOR)
        with pytest.raises(Conflict, match="being made already"):
            services.gate_start(version=candidate, deployment=NAME, actor=ACTOR)
        assert selectors.gate_job(candidate, NAME) == job
    done = work(job)
    assert done.state == "succeeded", done.error
    with organisation_scope(organisation.pk):
        assert selectors.gate_job(candidate) is None
        report = GateReport.objects.get(pk=done.result["report"])  # type: ignore[index]
        found = {verdict["check"]: verdict for verdict in report.verdicts}
        assert found["quality"]["verdict"] in {"passed", "failed"}
        assert "measured anew" in found["quality"]["detail"]
        assert found["forgetting"]["verdict"] in {"passed", "failed"}
        keys = set(Evaluation.objects.values_list("version", "snapshot", "split"))
        assert keys == {
            (one.pk, snapshot.pk, "test"),
            (candidate.pk, one.snapshot_id, "test"),
        }
        sheets = AnswerSheet.objects.all()
        assert {(sheet.version_id, sheet.snapshot_id, sheet.split) for sheet in sheets} == keys
        sheet = AnswerSheet.objects.get(version=one)
        answers = Answers.read(local_file(sheet.path, sheet.sha256))
        rows = (absolute_path(snapshot.path) / "test.jsonl").read_text().splitlines()
        assert list(answers.true) == [json.loads(row)["label"] for row in rows]
        assert Path(sheet.path).name == f"{sheet.sha256}.jsonl.gz"
        # The candidate's own report was registered without its answers.
        assert "not kept" in found["quality"]["evidence"]["unpaired_because"]
        forgotten = found["forgetting"]["evidence"]["snapshots"][0]
        assert forgotten["compared_by"].startswith("interval"), "nor were its parent's"
        evaluation = Evaluation.objects.get(version=one)
        assert evaluation.report["count"] == sum(snapshot.label_counts["test"].values())
        assert report.actor_label == "Ada"
        again = services.gate_start(version=candidate, deployment=NAME, actor=ACTOR)
    assert work(again).state == "succeeded"
    with organisation_scope(organisation.pk):
        assert Evaluation.objects.count() == 2, "what was measured once is not measured again"


def test_two_measured_versions_are_judged_by_a_paired_test(
    two: tuple[ModelVersion, ModelVersion, Snapshot],
    organisation: Organisation,
    settings: Any,
    artifacts: Path,
    tmp_path: Path,
) -> None:
    """Answers are fetched from the store by a machine that does not have them."""
    settings.ARTIFACT_STORE = f"file://{tmp_path}/store"
    one, candidate, snapshot = two
    for version in (one, candidate):
        with organisation_scope(organisation.pk):
            artifact_publish(version.artifact_path)
            job = services.evaluation_start(
                version=version, snapshot=snapshot, split="test", actor=ACTOR
            )
        assert work(job).state == "succeeded"
    for file in (artifacts / str(organisation.pk) / "answers").iterdir():
        file.unlink()
    with organisation_scope(organisation.pk):
        report = services.gate_now(version=candidate, deployment=NAME, actor=ACTOR)
    (quality,) = [each for each in report.verdicts if each["check"] == "quality"]
    assert quality["evidence"]["compared_by"].startswith("paired test")
    assert quality["evidence"]["difference_interval"] == [0, 0], "both are the same model"
    assert quality["evidence"]["rows_tied"] == quality["evidence"]["rows"] > 0
    assert quality["evidence"]["mcnemar_p"] == 1


def test_what_cannot_be_measured_is_said(
    two: tuple[ModelVersion, ModelVersion, Snapshot], organisation: Organisation
) -> None:
    _one, candidate, snapshot = two
    data = absolute_path(snapshot.path) / "test.jsonl"
    data.write_text(json.dumps({"text": "the bank rises", "label": "unheard-of"}) + "\n")
    with organisation_scope(organisation.pk):
        job = services.gate_start(version=candidate, deployment=NAME, actor=ACTOR)
    assert work(job).state == "succeeded"
    with organisation_scope(organisation.pk):
        report = selectors.gate_report_list(candidate).first()
        assert report is not None
        (quality,) = [each for each in report.verdicts if each["check"] == "quality"]
    assert quality["verdict"] == "not-measured"
    assert "unheard-of" in quality["detail"]
    assert not report.passed


def test_a_cancelled_gate_keeps_what_it_has_measured(
    two: tuple[ModelVersion, ModelVersion, Snapshot],
    organisation: Organisation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _one, candidate, _snapshot = two
    with organisation_scope(organisation.pk):
        job = services.gate_start(version=candidate, deployment=NAME, actor=ACTOR)
    real, calls = evaluations._measure, []

    def measure_then_cancel(*arguments: Any) -> None:
        real(*arguments)
        calls.append(arguments)
        with organisation_scope(organisation.pk):
            jobs.job_cancel(job.pk)
        raise runner.JobCancelled

    monkeypatch.setattr(evaluations, "_measure", measure_then_cancel)
    assert work(job).state == "cancelled"
    with organisation_scope(organisation.pk):
        assert Evaluation.objects.count() == len(calls) == 1
        assert not GateReport.objects.filter(version=candidate).exists()


def test_measuring_a_version_on_any_part(
    two: tuple[ModelVersion, ModelVersion, Snapshot], organisation: Organisation
) -> None:
    one, _candidate, snapshot = two
    with organisation_scope(organisation.pk):
        job = services.evaluation_start(
            version=one, snapshot=snapshot, split="validation", actor=ACTOR
        )
        with pytest.raises(ModelhubError, match="no examples in this part"):
            services.evaluation_start(version=one, snapshot=snapshot, split="dev", actor=ACTOR)
    done = work(job)
    assert done.state == "succeeded", done.error
    with organisation_scope(organisation.pk):
        (row,) = selectors.evaluation_list(one)
        assert (row.split, row.snapshot) == ("validation", snapshot)
        assert 0 <= row.report["macro_f1"] <= 1
        assert row.seconds > 0
