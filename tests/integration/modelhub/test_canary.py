"""Canaries: an exact share of the texts, always the same ones; compared, promoted, ended, rolled back by themselves."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from modelhub_helpers import ACTOR
from monitoring_fakes import NAME, FakeInference, ask

from rootstock.modelhub import inference, monitoring_selectors, selectors, services
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import Deployment, DeploymentChange, ModelVersion, Prediction
from rootstock.modelhub.monitoring.splitting import falls_to_canary
from rootstock.modelhub.services.looks import monitoring_look
from rootstock.tenancy.models import Organisation
from rootstock.webhooks.models import Delivery
from rootstock.webhooks.services import endpoint_create

pytestmark = pytest.mark.usefixtures("loaded")
QUIET = {"canary-latency": {"enabled": False}}
TEXTS = [f"profit of company {number} rises" for number in range(400)]


@pytest.fixture
def pair(
    scope: Organisation, place_artifact: Callable[[], str]
) -> tuple[Deployment, ModelVersion, ModelVersion]:
    one, two = (
        services.version_register(name=NAME, artifact_path=place_artifact(), actor=ACTOR)
        for _ in range(2)
    )
    return services.version_promote(version=one, actor=ACTOR), one, two


Pair = tuple[Deployment, ModelVersion, ModelVersion]


@pytest.fixture
def canary(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> FakeInference:
    """The second version answers a quarter of the texts."""
    slot, _one, two = pair
    services.canary_start(deployment=slot, version=two, share=0.25, actor=ACTOR, reason="try it")
    # How long a call takes here says how busy this machine is.
    services.monitor_policy_update(deployment=NAME, rules=QUIET, actor=ACTOR)
    fake = FakeInference(inference._client(0))
    monkeypatch.setattr("rootstock.modelhub.inference._client", lambda _: fake)
    return fake


def current() -> Deployment:
    slot = selectors.deployment_get(NAME)
    assert slot is not None
    return slot


def kinds(slot: Deployment) -> list[str]:
    return list(
        DeploymentChange.objects.filter(deployment=slot)
        .order_by("created_at", "id")
        .values_list("kind", flat=True)
    )


def test_the_split_is_exact_and_stable(pair: Pair, canary: FakeInference) -> None:
    slot, one, two = pair
    expected = {text for text in TEXTS if falls_to_canary(slot.pk, text, 0.25)}
    assert 60 <= len(expected) <= 140
    ids = ask(TEXTS) + ask(list(reversed(TEXTS)))
    by_canary = set(
        Prediction.objects.filter(version_id=two.pk).values_list("subject_id", flat=True)
    )
    text_of = dict(zip(ids, TEXTS + list(reversed(TEXTS)), strict=True))
    assert {text_of[subject] for subject in by_canary} == expected
    assert len(by_canary) == 2 * len(expected), "the same texts the second time"
    assert Prediction.objects.filter(version_id=one.pk).count() == 800 - 2 * len(expected)
    facts = monitoring_selectors.canary_facts(current())
    assert facts is not None
    assert (facts.now.answered, facts.other.answered) == (
        2 * len(expected),
        800 - 2 * len(expected),
    )


def test_a_larger_share_contains_the_smaller() -> None:
    slot = uuid.uuid4()
    few = {text for text in TEXTS if falls_to_canary(slot, text, 0.1)}
    more = {text for text in TEXTS if falls_to_canary(slot, text, 0.5)}
    assert few < more
    assert not any(falls_to_canary(slot, text, 0.0) for text in TEXTS)


def test_a_good_canary_stays_and_is_promoted(pair: Pair, canary: FakeInference) -> None:
    slot, one, two = pair
    ask(TEXTS)
    monitoring_look()
    assert current().canary_id == two.pk
    services.canary_promote(deployment=slot, actor=ACTOR, reason="as good", force=True)
    after = current()
    assert (after.version_id, after.canary_id) == (two.pk, None)
    assert kinds(slot) == ["promoted", "canary-started", "canary-ended", "promoted"]
    with pytest.raises(Conflict):
        services.canary_end(deployment=slot, actor=ACTOR)
    assert services.version_rollback(deployment=slot, actor=ACTOR).version_id == one.pk


def test_a_canary_that_cannot_answer_costs_nobody_an_answer_and_goes(
    pair: Pair, canary: FakeInference
) -> None:
    slot, one, two = pair
    endpoint_create(
        url="https://example.com/hook", event_types=["models.canary.rolled_back"], actor=ACTOR
    )
    canary.break_down(two)
    ask(TEXTS)
    assert Prediction.objects.filter(version_id=one.pk).count() == len(TEXTS)
    monitoring_look()
    assert current().canary_id is None
    change = DeploymentChange.objects.filter(deployment=slot).order_by("-created_at", "-id").first()
    assert change is not None
    assert (change.kind, change.to_version_id) == ("canary-rolled-back", two.pk)
    assert "100.0" in change.reason
    assert change.actor_kind == "system"
    [delivery] = Delivery.objects.all()
    assert delivery.event_type == "models.canary.rolled_back"


def test_guardrails_of_confidence_and_labels(pair: Pair, canary: FakeInference) -> None:
    _slot, _one, two = pair
    canary.set(two, lambda _text: ("negative", 0.5))
    ask(TEXTS[:200])
    monitoring_look()
    assert current().canary_id == two.pk, "fifty texts are too few to say"
    ask([f"{text} again" for text in TEXTS * 2])
    monitoring_look()
    assert current().canary_id is None
    reason = DeploymentChange.objects.get(kind="canary-rolled-back").reason
    assert "less sure" in reason
    assert "label mix" in reason


def test_late_labels_that_disagree_roll_back(pair: Pair, canary: FakeInference) -> None:
    slot, _one, two = pair
    canary.set(two, lambda text: ("negative" if text.endswith("1 rises") else "positive", 0.9))
    texts = [f"profit of company {number}1 rises" for number in range(400)]
    ids = ask(texts)
    monitoring_look()
    services.outcomes_add(
        deployment=slot,
        labels=[
            services.LateLabel(services.Subject("finance.document", each), "positive")
            for each in ids[:200]
        ],
    )
    services.monitor_policy_update(
        deployment=NAME, rules=QUIET | {"canary-labels": {"enabled": False}}, actor=ACTOR
    )
    monitoring_look()
    assert current().canary_id is None
    assert "Later labels" in DeploymentChange.objects.get(kind="canary-rolled-back").reason


def test_promoting_another_version_ends_the_canary(
    pair: Pair, canary: FakeInference, place_artifact: Callable[[], str], loaded: list[str]
) -> None:
    slot, _one, _two = pair
    three = services.version_register(name=NAME, artifact_path=place_artifact(), actor=ACTOR)
    with pytest.raises(Conflict, match="promote or end it first"):
        services.canary_start(deployment=slot, version=three, share=0.1, actor=ACTOR)
    services.canary_end(deployment=slot, actor=ACTOR, reason="enough")
    assert kinds(slot)[-1] == "canary-ended"


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_shares_that_are_none(pair: Pair, share: float) -> None:
    slot, _one, two = pair
    with pytest.raises(ModelhubError) as refused:
        services.canary_start(deployment=slot, version=two, share=share, actor=ACTOR)
    assert refused.value.errors[0]["pointer"] == "/share"


def test_the_deployed_version_cannot_be_its_own_canary(pair: Pair) -> None:
    slot, one, _two = pair
    with pytest.raises(Conflict):
        services.canary_start(deployment=slot, version=one, share=0.1, actor=ACTOR)
