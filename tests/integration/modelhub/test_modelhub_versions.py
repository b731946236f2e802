"""Versions, the checks before a promotion, roll-back and the history that nobody can change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import ProgrammingError, connection, transaction
from modelhub_helpers import ACTOR, make_snapshot

from ml_core import serving
from rootstock.modelhub import inference, selectors, services
from rootstock.modelhub.errors import Conflict, ModelhubError, PromotionRefused
from rootstock.modelhub.models import Deployment, DeploymentChange, ModelVersion, Snapshot
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

NAME = "finance.sentiment"
pytestmark = pytest.mark.usefixtures("loaded")


def register(
    place: Callable[[], str], *, snapshot: Snapshot | None = None, macro_f1: float | None = None
) -> ModelVersion:
    metrics = None if macro_f1 is None else {"test": {"macro_f1": macro_f1}}
    return services.version_register(
        name=NAME, artifact_path=place(), actor=ACTOR, snapshot=snapshot, metrics=metrics
    )


def test_versions_are_numbered_by_name(scope: Organisation, place_artifact) -> None:
    first, second = register(place_artifact), register(place_artifact)
    assert (first.label, second.label) == ("finance.sentiment v1", "finance.sentiment v2")
    assert first.labels == ["negative", "neutral", "positive"]
    assert first.languages == ["en"]
    assert first.digest == second.digest
    assert "macro_f1" in first.metrics["validation"]
    assert first.card.startswith("#") or "---" in first.card
    assert first.size_bytes > 1000


def test_an_artefact_that_is_not_there_is_no_version(scope: Organisation, artifacts: Path) -> None:
    with pytest.raises(ModelhubError, match="no such directory"):
        services.version_register(name=NAME, artifact_path="versions/none", actor=ACTOR)
    with pytest.raises(ModelhubError, match="outside"):
        services.version_register(name=NAME, artifact_path="../../etc", actor=ACTOR)


def test_promote_and_roll_back(scope: Organisation, place_artifact, loaded: list[str]) -> None:
    one, two, three = (register(place_artifact) for _ in range(3))
    slot = services.version_promote(version=one, actor=ACTOR)
    assert slot.name == NAME
    assert len(loaded) == 1, "it is warm before the first text comes"
    with pytest.raises(Conflict, match="serves already"):
        services.version_promote(version=one, actor=ACTOR)
    services.version_promote(version=two, actor=ACTOR, reason="more data")
    services.version_promote(version=three, actor=ACTOR)
    assert selectors.deployment_get(NAME).version == three

    # Each roll-back goes one step further back.
    services.version_rollback(deployment=slot, actor=ACTOR, reason="too many negatives")
    assert selectors.deployment_get(NAME).version == two
    services.version_rollback(deployment=slot, actor=ACTOR)
    assert selectors.deployment_get(NAME).version == one
    with pytest.raises(Conflict, match="no version before"):
        services.version_rollback(deployment=slot, actor=ACTOR)

    history = [
        (change.kind, str(change.to_version), change.reason)
        for change in selectors.deployment_history(slot)
    ]
    assert history == [
        ("rolled-back", "finance.sentiment v1", ""),
        ("rolled-back", "finance.sentiment v2", "too many negatives"),
        ("promoted", "finance.sentiment v3", ""),
        ("promoted", "finance.sentiment v2", "more data"),
        ("promoted", "finance.sentiment v1", ""),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE modelhub_deploymentchange SET reason = 'never happened'",
        "DELETE FROM modelhub_deploymentchange",
        "TRUNCATE modelhub_deploymentchange",
        "UPDATE modelhub_modelversion SET digest = 'x'",
        "DELETE FROM modelhub_modelversion",
        "UPDATE modelhub_prediction SET label = 'x'",
    ],
)
def test_the_database_refuses_to_change_history(
    scope: Organisation, place_artifact, statement: str
) -> None:
    services.version_promote(version=register(place_artifact), actor=ACTOR)
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert DeploymentChange.objects.count() == 1


def test_a_damaged_artefact_is_not_promoted(
    scope: Organisation, artifacts: Path, place_artifact, loaded: list[str]
) -> None:
    version = register(place_artifact)
    (artifacts / version.artifact_path / "model.safetensors").write_bytes(b"rot")
    with pytest.raises(PromotionRefused, match=r"model\.safetensors|changed or damaged") as caught:
        services.version_promote(version=version, actor=ACTOR, force=True, reason="hurry")
    assert loaded == []
    assert caught.value.verdicts[0]["check"] == "artifact"
    assert not Deployment.objects.exists()


def test_a_version_that_does_not_load_is_not_promoted(
    scope: Organisation, place_artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise inference.InferenceUnavailable("nobody answers")

    monkeypatch.setattr("rootstock.modelhub.gate.loads.load_version", unreachable)
    with pytest.raises(PromotionRefused, match="does not answer"):
        services.version_promote(version=register(place_artifact), actor=ACTOR)


def test_a_worse_version_is_refused_with_the_evidence_unless_forced(
    scope: Organisation, artifacts: Path, place_artifact
) -> None:
    snapshot = make_snapshot(count=60)
    good = register(place_artifact, snapshot=snapshot, macro_f1=0.90)
    nearly = register(place_artifact, snapshot=snapshot, macro_f1=0.895)
    worse = register(place_artifact, snapshot=snapshot, macro_f1=0.85)
    services.version_promote(version=good, actor=ACTOR)
    services.version_promote(version=nearly, actor=ACTOR)
    with pytest.raises(PromotionRefused, match=r"85\.0 % against 89\.5 %") as caught:
        services.version_promote(version=worse, actor=ACTOR)
    verdict = next(v for v in caught.value.verdicts if v["check"] == "quality")
    assert verdict["evidence"]["points"] == pytest.approx(-4.5)
    with pytest.raises(ModelhubError, match="needs a reason"):
        services.version_promote(version=worse, actor=ACTOR, force=True, reason="  ")
    slot = services.version_promote(
        version=worse, actor=ACTOR, force=True, reason="half the latency"
    )
    change = selectors.deployment_history(slot)[0]
    assert change.forced
    assert [v["check"] for v in change.checks if not v["passed"]] == ["quality"]
    # Back to a better one needs no force.
    services.version_rollback(deployment=slot, actor=ACTOR)
    assert selectors.deployment_get(NAME).version == nearly


def test_versions_of_different_snapshots_have_to_be_measured_first(
    scope: Organisation, artifacts: Path, place_artifact
) -> None:
    one = register(place_artifact, snapshot=make_snapshot("a", 60), macro_f1=0.9)
    two = register(place_artifact, snapshot=make_snapshot("b", 90), macro_f1=0.5)
    services.version_promote(version=one, actor=ACTOR)
    with pytest.raises(PromotionRefused, match="another snapshot"):
        services.version_promote(version=two, actor=ACTOR)
    services.version_promote(version=two, actor=ACTOR, force=True, reason="the old data was wrong")
    change = selectors.deployment_history(selectors.deployment_get(NAME))[0]
    (verdict,) = [each for each in change.checks if not each["passed"]]
    assert (verdict["check"], verdict["verdict"]) == ("quality", "not-measured")


def test_resolve_sees_a_promotion_at_once(scope: Organisation, place_artifact) -> None:
    with pytest.raises(inference.NoDeployment) as caught:
        inference.resolve([NAME])
    assert caught.value.name == NAME
    for number in (1, 2):
        services.version_promote(version=register(place_artifact), actor=ACTOR)
        target = inference.resolve([NAME])[NAME]
        assert target.version_label == f"{NAME} v{number}"
        assert target.languages == ("en",)


def test_another_organisation_has_its_own_deployments(
    organisation: Organisation, organisation_b: Organisation, place_artifact
) -> None:
    with organisation_scope(organisation.pk):
        version = register(place_artifact)
        services.version_promote(version=version, actor=ACTOR)
    with organisation_scope(organisation_b.pk):
        assert selectors.deployment_get(NAME) is None
        assert not selectors.version_list().exists()
        with pytest.raises(inference.NoDeployment):
            inference.resolve([NAME])
        assert register(place_artifact).number == 1


def test_classify_asks_once_for_all_and_logs(
    scope: Organisation, place_artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(place_artifact)
    services.version_promote(version=version, actor=ACTOR)
    services.version_promote(version=version, actor=ACTOR, deployment="finance.topic")
    calls: list[list[serving.ClassifyRequest]] = []

    class Client:
        def classify(
            self, requests: list[serving.ClassifyRequest], organisation: str
        ) -> list[serving.ClassifyResult]:
            assert organisation == str(scope.pk)
            calls.append(requests)
            prediction = inference.Prediction(
                "positive", {"negative": 0.1, "neutral": 0.2, "positive": 0.7}
            )
            return [
                serving.ClassifyResult(r.model, version.digest, (prediction,) * len(r.texts))
                for r in requests
            ]

    monkeypatch.setattr("rootstock.modelhub.inference._client", lambda _: Client())
    results = inference.classify_texts({NAME: ["a", "b"], "finance.topic": ["a"]})
    assert len(calls) == 1
    assert [len(request.texts) for request in calls[0]] == [2, 1]
    assert [p.label for p in results[NAME].predictions] == ["positive", "positive"]
    assert results[NAME].version_id == version.pk
    # No texts, no call.
    assert inference.classify_texts({NAME: []})[NAME].predictions == []
    assert len(calls) == 1

    services.predictions_log(
        result=results[NAME],
        subjects=[services.Subject("finance.document", version.pk) for _ in range(2)],
    )
    logged = selectors.prediction_list().filter(subject_type="finance.document")
    assert [row.probabilities for row in logged] == [[0.1, 0.2, 0.7]] * 2
    assert {row.version_id for row in logged} == {version.pk}
    with pytest.raises(ValueError):
        services.predictions_log(result=results[NAME], subjects=[])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (serving.Overloaded("full", retry_after=7), (inference.InferenceUnavailable, 7)),
        (serving.InferenceUnavailable("gone"), (inference.InferenceUnavailable, 2)),
        (serving.DeadlineExceeded("slow"), (inference.InferenceUnavailable, 2)),
        (serving.ModelNotLoaded("damaged", code="model_damaged"), (inference.ModelUnusable, None)),
    ],
)
def test_what_can_go_wrong_with_inference(
    scope: Organisation,
    place_artifact,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    expected: tuple[type[Exception], float | None],
) -> None:
    services.version_promote(version=register(place_artifact), actor=ACTOR)

    class Client:
        def classify(self, _: object, **__: object) -> None:
            raise error

    monkeypatch.setattr("rootstock.modelhub.inference._client", lambda _: Client())
    kind, retry_after = expected
    with pytest.raises(kind) as caught:
        inference.classify_texts({NAME: ["a"]})
    assert getattr(caught.value, "retry_after", None) == retry_after
