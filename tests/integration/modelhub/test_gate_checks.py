"""The gate: what each check finds, what a policy changes, and what a promotion makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import translation
from modelhub_helpers import ACTOR, make_snapshot

from ml_core.evaluation import build_classification_report
from rootstock.audit.models import AuditEntry
from rootstock.modelhub import gate, selectors, services
from rootstock.modelhub.errors import ModelhubError, PromotionRefused
from rootstock.modelhub.gate import registry
from rootstock.modelhub.models import Evaluation, GateReport, ModelVersion, Snapshot
from rootstock.modelhub.services.answers import answers_keep, answers_store
from rootstock.tenancy.models import Organisation

NAME = "finance.sentiment"
pytestmark = pytest.mark.usefixtures("loaded")
Register = Callable[..., ModelVersion]


@pytest.fixture
def register(scope: Organisation, artifacts: Path, place_artifact: Callable[[], str]) -> Register:
    def make(report: dict[str, Any] | None = None, **fields: Any) -> ModelVersion:
        metrics = None if report is None else {"test": report}
        return services.version_register(
            name=NAME, artifact_path=place_artifact(), actor=ACTOR, metrics=metrics, **fields
        )

    return make


def verdicts(version: ModelVersion) -> dict[str, dict[str, Any]]:
    report = services.gate_now(version=version, deployment=NAME, actor=ACTOR)
    return {verdict["check"]: verdict for verdict in report.verdicts}


def measured(version: ModelVersion, snapshot: Snapshot, **report: Any) -> None:
    Evaluation.objects.create(
        version=version, snapshot=snapshot, split="test", report=report, seconds=1.0
    )


def test_a_first_version_passes_and_the_report_is_kept(register: Register) -> None:
    version = register({"macro_f1": 0.8, "count": 500, "ece": 0.05})
    found = verdicts(version)
    assert {key: verdict["verdict"] for key, verdict in found.items()} == {
        "artifact": "passed",
        "labels": "passed",
        "quality": "not-applicable",
        "forgetting": "not-applicable",
        "calibration": "passed",
        "worst-slice": "not-applicable",
        "size": "passed",
        "loads": "passed",
        "latency": "passed",
    }
    report = GateReport.objects.get()
    assert (report.passed, report.current, report.actor_label) == (True, None, "Ada")
    assert selectors.gate_report_current(version, NAME) == report
    assert AuditEntry.objects.filter(action="models.gate.report").exists()
    assert found["latency"]["evidence"]["calls"] == 40
    assert found["latency"]["evidence"]["p95_ms"] >= found["latency"]["evidence"]["median_ms"]


def test_the_report_that_holds_decides_and_is_asked_for_again_when_it_does_not(
    register: Register,
) -> None:
    first, second = register(), register()
    report = services.gate_now(version=first, deployment=NAME, actor=ACTOR)
    services.version_promote(version=first, actor=ACTOR)
    assert GateReport.objects.count() == 1, "the report was there already"
    services.gate_now(version=second, deployment=NAME, actor=ACTOR)
    assert selectors.gate_report_current(second, NAME) is not None
    services.gate_policy_update(
        deployment=NAME, checks={"size": {"limits": {"largest_megabytes": 1}}}, actor=ACTOR
    )
    assert selectors.gate_report_current(second, NAME) is None, "another policy is in force"
    services.version_promote(version=second, actor=ACTOR)
    assert GateReport.objects.count() == 3
    assert selectors.gate_report_current(first, NAME) is None, "another version is deployed"
    assert report.policy != services.gate_policy(NAME)


def test_files_that_rot_after_the_gate_are_not_promoted(
    register: Register, artifacts: Path
) -> None:
    version = register()
    assert services.gate_now(version=version, deployment=NAME, actor=ACTOR).passed
    (artifacts / version.artifact_path / "model.safetensors").write_bytes(b"rot")
    with pytest.raises(PromotionRefused, match=r"model\.safetensors"):
        services.version_promote(version=version, actor=ACTOR, force=True, reason="hurry")


def test_calibration_needs_enough_examples(register: Register) -> None:
    bad = {"macro_f1": 0.9, "ece": 0.3}
    found = verdicts(register(bad | {"count": 500}))["calibration"]
    assert (found["verdict"], found["can_be_forced"]) == ("failed", True)
    assert found["detail"] == "30.0 % on 500 examples of the test part."
    assert found["asked"] == "Expected calibration error at most 0.15."
    few = verdicts(register(bad | {"count": 40}))["calibration"]
    assert few["verdict"] == "not-applicable"
    assert few["evidence"]["ece"] == 0.3


def test_the_worst_slice_is_named(register: Register) -> None:
    report = {
        "macro_f1": 0.8,
        "count": 300,
        "per_label": {
            "negative": {"f1": 0.9, "support": 200},
            "neutral": {"f1": 0.3, "support": 60},
            "rare": {"f1": 0.0, "support": 3},
        },
    }
    found = verdicts(register(report))["worst-slice"]
    assert found["verdict"] == "failed"
    assert "“neutral”: F1 30.0 % on 60 examples" in found["detail"]
    assert found["evidence"]["left_out"] == 1
    report["per_label"] = {"negative": {"f1": 0.9, "support": 200}}  # type: ignore[dict-item]
    report["slices"] = [  # type: ignore[assignment]
        {"column": "length", "value": "1-20", "metric": "accuracy", "score": 0.4, "count": 50}
    ]
    assert "“length 1-20”" in verdicts(register(report))["worst-slice"]["detail"]


def test_quality_says_when_chance_may_explain_the_difference(register: Register) -> None:
    snapshot = make_snapshot(count=60)
    services.version_promote(
        version=register(
            {"headline": "accuracy", "accuracy": 0.9, "intervals": {"accuracy": [0.85, 0.95]}},
            snapshot=snapshot,
        ),
        actor=ACTOR,
    )
    near = verdicts(
        register(
            {"headline": "accuracy", "accuracy": 0.895, "intervals": {"accuracy": [0.84, 0.94]}},
            snapshot=snapshot,
        )
    )["quality"]
    assert near["verdict"] == "passed"
    assert "the intervals overlap" in near["detail"]
    assert near["evidence"]["interval"] == [0.84, 0.94]
    far = verdicts(
        register(
            {"headline": "accuracy", "accuracy": 0.7, "intervals": {"accuracy": [0.65, 0.75]}},
            snapshot=snapshot,
        )
    )["quality"]
    assert (far["verdict"], far["evidence"]["intervals_overlap"]) == ("failed", False)


def answered(register: Register, snapshot: Snapshot, right: range, tmp_path: Path) -> ModelVersion:
    """A version with its answers to 400 made-up rows, right in these places."""
    truth = ["ab"[number % 2] for number in range(400)]
    table = np.array(
        [[1.0, 0.0] if (label == "a") == (n in right) else [0.0, 1.0] for n, label in enumerate(truth)]
    )  # fmt: skip
    report = build_classification_report(truth, table, ["a", "b"])
    assert report.answers is not None
    report.answers.write(tmp_path / "answers.gz")
    version = register(report.to_dict(), snapshot=snapshot)
    kept = answers_keep(version.organisation_id, tmp_path / "answers.gz")  # type: ignore[arg-type]
    answers_store(version=version, snapshot=snapshot, split="test", kept=kept)
    return version


def test_a_paired_test_decides_where_the_answers_are_kept(
    register: Register, tmp_path: Path
) -> None:
    snapshot = make_snapshot(count=60)
    one = answered(register, snapshot, range(320), tmp_path)
    services.version_promote(version=one, actor=ACTOR, force=True, reason="certain of its errors")

    # Ten rows less of 400: 2.5 points, and every one of them lost. The reports' intervals overlap widely.
    two = answered(register, snapshot, range(310), tmp_path)
    found = verdicts(two)["quality"]
    assert found["verdict"] == "failed"
    evidence = found["evidence"]
    assert evidence["interval"][1] > evidence["deployed_interval"][0], "two intervals do not see it"
    assert evidence["difference_interval"][1] < 0
    assert (evidence["rows_won"], evidence["rows_lost"], evidence["rows_tied"]) == (0, 10, 390)
    assert evidence["mcnemar_p"] == pytest.approx(2 / 2**10, abs=1e-6)
    assert "rows won 0, lost 10, equal 390" in found["detail"]
    assert "95 % interval of the difference" in found["detail"]

    # Six rows less, but 74 lost and 68 won: 1.5 points are more than the allowed one, and may be chance.
    three = answered(register, snapshot, range(74, 388), tmp_path)
    found = verdicts(three)["quality"]
    assert found["evidence"]["points"] < -1
    assert found["verdict"] == "passed"
    assert "but chance may explain it" in found["detail"]


def test_answers_that_cannot_be_read_are_said_and_the_reports_decide(
    register: Register, tmp_path: Path, artifacts: Path
) -> None:
    snapshot = make_snapshot(count=60)
    one = answered(register, snapshot, range(320), tmp_path)
    services.version_promote(version=one, actor=ACTOR, force=True, reason="certain of its errors")
    two = answered(register, snapshot, range(310), tmp_path)
    for file in artifacts.glob("*/answers/*"):
        file.write_bytes(b"rot")
    found = verdicts(two)["quality"]
    assert found["verdict"] == "failed"
    assert "not what was registered" in found["evidence"]["unpaired_because"]
    assert found["evidence"]["intervals_overlap"] is True


def test_figures_of_another_scale_are_compared_in_points(register: Register) -> None:
    snapshot = make_snapshot(count=60)
    report = {"headline": "chrf", "chrf": 41.0, "intervals": {"chrf": [39.0, 43.0]}}
    services.version_promote(version=register(report, snapshot=snapshot), actor=ACTOR)
    found = verdicts(register(report | {"chrf": 38.5}, snapshot=snapshot))["quality"]
    assert found["verdict"] == "failed"
    assert found["evidence"]["points"] == pytest.approx(-2.5)
    assert "chrF 38.5 % against 41.0 %" in found["detail"]


def test_the_deployed_version_is_compared_on_the_candidates_snapshot(register: Register) -> None:
    old, new = make_snapshot("a", 60), make_snapshot("b", 90)
    one = register({"macro_f1": 0.9}, snapshot=old)
    services.version_promote(version=one, actor=ACTOR)
    two = register({"macro_f1": 0.8}, snapshot=new)
    assert verdicts(two)["quality"]["verdict"] == "not-measured"
    measured(one, new, macro_f1=0.7)
    found = verdicts(two)["quality"]
    assert found["verdict"] == "passed"
    assert found["evidence"]["points"] == pytest.approx(10.0)
    assert "trained on another snapshot, so it was measured anew" in found["detail"]
    services.version_promote(version=two, actor=ACTOR)


def test_forgetting_looks_at_every_earlier_snapshot(register: Register) -> None:
    stages = [make_snapshot(name, 60 + 3 * place) for place, name in enumerate("abc")]
    one = register({"macro_f1": 0.9}, snapshot=stages[0])
    two = register({"macro_f1": 0.9}, snapshot=stages[1], parent=one)
    three = register({"macro_f1": 0.9}, snapshot=stages[2], parent=two)
    candidate, policy = services.gate_candidate(version=three, deployment=NAME)
    wanted = {
        (str(need.version), str(need.snapshot)) for need in gate.gate_needs(candidate, policy)
    }
    assert {(str(three), "a #1"), (str(two), "a #1"), (str(three), "b #1")} <= wanted
    assert verdicts(three)["forgetting"]["verdict"] == "not-measured"
    measured(three, stages[0], macro_f1=0.84)
    measured(two, stages[0], macro_f1=0.88)
    measured(three, stages[1], macro_f1=0.89)
    found = verdicts(three)["forgetting"]
    assert found["verdict"] == "failed", "four points are gone, three are allowed"
    assert "Worst on a #1: 84.0 % against 88.0 %" in found["detail"]
    assert [row["snapshot"] for row in found["evidence"]["snapshots"]] == ["a #1", "b #1"]
    services.gate_policy_update(
        deployment=NAME,
        checks={"forgetting": {"limits": {"allowed_loss_points": 5}}},
        actor=ACTOR,
    )
    assert verdicts(three)["forgetting"]["verdict"] == "passed"


def test_size_and_latency_have_limits(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    version = register()
    monkeypatch.setattr(
        "rootstock.modelhub.gate.latency.answer_times", lambda *_, **__: [0.02] * 38 + [0.9] * 5
    )
    found = verdicts(version)["latency"]
    assert found["verdict"] == "failed"
    assert found["evidence"]["p95_ms"] == pytest.approx(900)
    services.gate_policy_update(
        deployment=NAME,
        checks={
            "latency": {"enabled": False},
            "size": {"limits": {"largest_megabytes": 10}},
        },
        actor=ACTOR,
    )
    found = verdicts(version)
    assert "latency" not in found
    assert found["size"]["asked"] == "At most 10 MB of files."
    assert AuditEntry.objects.filter(action="models.gate-policy.update").count() == 1


def test_without_an_inference_process_nothing_is_promoted(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rootstock.modelhub.inference import InferenceUnavailable

    def unreachable(*_: object, **__: object) -> None:
        raise InferenceUnavailable("nobody answers")

    monkeypatch.setattr("rootstock.modelhub.gate.loads.load_version", unreachable)
    found = verdicts(register())
    assert (found["loads"]["verdict"], found["loads"]["can_be_forced"]) == ("not-measured", False)
    assert found["latency"]["verdict"] == "not-measured"
    assert "did not pass" in found["latency"]["detail"]


@pytest.mark.parametrize(
    ("checks", "pointer"),
    [
        ({"beauty": {}}, "/checks/beauty"),
        ({"artifact": {"enabled": False}}, "/checks/artifact/enabled"),
        ({"size": {"limits": {"largest_megabytes": 0}}}, "/checks/size/limits/largest_megabytes"),
        ({"size": {"limits": {"colour": 1}}}, "/checks/size/limits/colour"),
        ({"size": {"limits": {"largest_megabytes": "2"}}}, "/checks/size/limits/largest_megabytes"),
        ({"size": {"weight": 1}}, "/checks/size"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    scope: Organisation, checks: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(ModelhubError) as caught:
        services.gate_policy_update(deployment=NAME, checks=checks, actor=ACTOR)
    assert caught.value.errors[0]["pointer"] == pointer


@pytest.fixture
def tone() -> Iterator[gate.Check]:
    """A check of an app."""

    def judge(
        candidate: gate.Candidate, limits: gate.Limits, figures: gate.Figures
    ) -> gate.Finding:
        return gate.Finding(gate.Outcome.FAILED, "It is %(how)s.", {"how": "rude"}, {"n": 3})

    check = gate.Check("tone", "Tone", "It is polite.", judge)
    gate.register(check)
    yield check
    registry.CHECKS.remove(check)


def test_an_app_adds_a_check(register: Register, tone: gate.Check) -> None:
    with pytest.raises(ValueError, match="two checks"):
        gate.register(tone)
    version = register()
    with pytest.raises(PromotionRefused, match="It is rude") as caught:
        services.version_promote(version=version, actor=ACTOR)
    assert caught.value.verdicts[-1]["evidence"] == {"n": 3}
    slot = services.version_promote(version=version, actor=ACTOR, force=True, reason="it is fun")
    assert selectors.deployment_history(slot)[0].forced


def test_a_stored_verdict_is_read_in_the_language_of_the_page() -> None:
    verdict = {"check": "x", "passed": True, "message": "Passed", "params": {}, "detail": "Passed"}
    with translation.override("zh-hans"):
        assert gate.detail_again(verdict) == translation.gettext("Passed") != "Passed"
    old = {"check": "labels", "passed": True, "detail": "As it was."}
    assert (gate.detail_again(old), gate.asked_again(old)) == ("As it was.", "")
