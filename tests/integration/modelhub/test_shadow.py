"""A shadow version: asked in the background about what was answered, seen by people only, promoted or ended."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from modelhub_helpers import ACTOR

from ml_core import serving
from rootstock.modelhub import inference, selectors, services
from rootstock.modelhub.errors import Conflict, ModelhubError, PromotionRefused
from rootstock.modelhub.models import Deployment, ModelVersion, Prediction
from rootstock.modelhub.tasks import log_shadow, shadow_ask
from rootstock.outbox.handlers import handling
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.models import Organisation

NAME = "finance.sentiment"
pytestmark = pytest.mark.usefixtures("loaded")
Pair = tuple[Deployment, ModelVersion, ModelVersion]


@pytest.fixture
def pair(scope: Organisation, place_artifact: Callable[[], str]) -> Pair:
    """A deployment, its version and another one."""
    one, two = (
        services.version_register(name=NAME, artifact_path=place_artifact(), actor=ACTOR)
        for _ in range(2)
    )
    return services.version_promote(version=one, actor=ACTOR), one, two


@pytest.fixture
def answers(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The deployed version says positive; the shadow says negative to what “falls”. The models that were asked."""
    _slot, one, two = pair
    asked: list[str] = []

    def predict(label: str) -> inference.Prediction:
        others = {"negative": 0.1, "neutral": 0.1, "positive": 0.1} | {label: 0.8}
        return inference.Prediction(label, others)

    class Client:
        def load(self, path: Any) -> Any:
            raise AssertionError("not here")

        def classify(
            self, requests: list[serving.ClassifyRequest], **_: Any
        ) -> list[serving.ClassifyResult]:
            results = []
            for request in requests:
                shadow = str(request.model).endswith(two.artifact_path)
                asked.append("shadow" if shadow else "deployed")
                said = tuple(
                    predict("negative" if shadow and "falls" in text else "positive")
                    for text in request.texts
                )
                digest = (two if shadow else one).digest
                results.append(serving.ClassifyResult(request.model, digest, said))
            return results

    start = services.shadow_start

    def ready() -> None:
        monkeypatch.setattr("rootstock.modelhub.inference._client", lambda _: Client())

    def started(**given: Any) -> Deployment:
        slot = start(**given)
        ready()
        return slot

    monkeypatch.setattr(services, "shadow_start", started)
    return asked


def ask(texts: list[str]) -> list[uuid.UUID]:
    """What an application does; the ids of the things it asked about."""
    result = inference.classify_texts({NAME: texts})[NAME]
    ids = [uuid.uuid4() for _ in texts]
    services.predictions_log(
        result=result, subjects=[services.Subject("finance.document", each) for each in ids]
    )
    return ids


def deliver(organisation: Organisation) -> int:
    """What a worker does with the messages; how many there were."""
    messages = list(OutboxMessage.objects.filter(topic="modelhub.shadow"))
    for message in messages:
        with handling(organisation.pk):
            log_shadow(message.payload, shadow_ask(message.payload))
        message.delete()
    return len(messages)


def test_without_a_shadow_nothing_more_is_asked(
    pair: Pair, scope: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(["profit rises"])
    assert deliver(scope) == 0
    assert not any(
        isinstance(each, inference.AskedPrediction)
        for each in inference.classify_texts({NAME: ["a"]})[NAME].predictions
    )


def test_a_shadow_is_asked_later_and_stands_beside_the_answer(
    pair: Pair, answers: list[str], scope: Organisation
) -> None:
    slot, one, two = pair
    services.shadow_start(deployment=slot, version=two, actor=ACTOR, reason="new data")
    ids = ask(["profit rises", "profit falls", "the share falls"])
    assert answers == ["deployed"], "the application waits for its own answer only"
    assert deliver(scope) == 1
    assert answers == ["deployed", "shadow"]

    # The log of answers is as it was, for the application and over REST.
    assert {row.subject_id for row in selectors.prediction_list()} == set(ids)
    assert {row.version_id for row in selectors.prediction_list()} == {one.pk}
    shadows = selectors.prediction_list(shadow=True)
    assert {row.subject_id for row in shadows} == set(ids)
    assert {row.version_id for row in shadows} == {two.pk}
    current = selectors.deployment_get(NAME)
    assert selectors.deployment_activity(current).predictions == 3

    comparison = selectors.shadow_comparison(current)
    assert (comparison.asked, comparison.agreed) == (3, 1)
    assert comparison.agreement == pytest.approx(1 / 3)
    assert comparison.pairs == [("positive", "negative", 2)]
    (newest, older) = selectors.shadow_disagreements(current)
    assert {newest.compared["text"], older.compared["text"]} == {"profit falls", "the share falls"}
    assert (newest.label, newest.compared["label"]) == ("negative", "positive")
    assert newest.compared["version"] == str(one.pk)


def test_only_a_share_of_the_texts_is_asked(
    pair: Pair, answers: list[str], scope: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, _one, two = pair
    services.shadow_start(deployment=slot, version=two, actor=ACTOR, rate=0.25)
    draws = iter([0.1, 0.9, 0.5, 0.2])
    monkeypatch.setattr("rootstock.modelhub.inference.random.random", lambda: next(draws))
    ask(["a", "b", "c", "d"])
    deliver(scope)
    texts = {row.compared["text"] for row in selectors.prediction_list(shadow=True)}
    assert texts == {"a", "d"}


def test_a_shadow_that_fails_harms_nobody(
    pair: Pair, answers: list[str], scope: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, _one, two = pair
    services.shadow_start(deployment=slot, version=two, actor=ACTOR)
    ask(["profit rises"])

    def broken(*_: Any) -> Any:
        raise inference.ModelUnusable("gone")

    monkeypatch.setattr("rootstock.modelhub.shadowing.classify", broken)
    assert deliver(scope) == 1
    assert selectors.prediction_list().count() == 1
    assert not selectors.prediction_list(shadow=True).exists()


def test_what_was_asked_of_a_shadow_that_has_ended_is_dropped(
    pair: Pair, answers: list[str], scope: Organisation
) -> None:
    slot, _one, two = pair
    services.shadow_start(deployment=slot, version=two, actor=ACTOR)
    ask(["profit rises"])
    services.shadow_end(deployment=slot, actor=ACTOR, reason="enough")
    deliver(scope)
    assert answers == ["deployed"]
    assert not Prediction.objects.filter(shadow=True).exists()


def test_the_history_of_shadows_and_the_way_to_promote_one(
    pair: Pair, scope: Organisation, place_artifact: Callable[[], str]
) -> None:
    slot, one, two = pair
    three = services.version_register(name=NAME, artifact_path=place_artifact(), actor=ACTOR)
    with pytest.raises(Conflict, match="has no shadow"):
        services.shadow_end(deployment=slot, actor=ACTOR)
    with pytest.raises(Conflict, match="serves already"):
        services.shadow_start(deployment=slot, version=one, actor=ACTOR)
    for rate in (0.0, 1.5, float("nan")):
        with pytest.raises(ModelhubError, match="above 0"):
            services.shadow_start(deployment=slot, version=two, actor=ACTOR, rate=rate)
    services.shadow_start(deployment=slot, version=two, actor=ACTOR)
    services.shadow_start(deployment=slot, version=three, actor=ACTOR)
    slot = services.version_promote(version=three, actor=ACTOR)
    assert (slot.shadow, slot.version) == (None, three)
    history = [
        (change.kind, str(change.to_version)) for change in selectors.deployment_history(slot)
    ]
    assert history == [
        ("promoted", f"{NAME} v3"),
        ("shadow-ended", f"{NAME} v3"),
        ("shadow-started", f"{NAME} v3"),
        ("shadow-ended", f"{NAME} v2"),
        ("shadow-started", f"{NAME} v2"),
        ("promoted", f"{NAME} v1"),
    ]
    # A shadow is no step of the way back.
    assert services.version_rollback(deployment=slot, actor=ACTOR).version == one


def test_a_damaged_version_does_not_become_a_shadow(pair: Pair, artifacts: Any) -> None:
    slot, _one, two = pair
    (artifacts / two.artifact_path / "model.safetensors").write_bytes(b"rot")
    with pytest.raises(PromotionRefused, match="did not become the shadow"):
        services.shadow_start(deployment=slot, version=two, actor=ACTOR)
