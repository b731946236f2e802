"""Live figures, late labels, drift and alarms of deployments."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from modelhub_helpers import ACTOR, COMMON, WORDS, make_examples, make_snapshot
from monitoring_fakes import NAME, FakeInference, ask

from ml_core import serving
from rootstock.modelhub import inference, monitoring_selectors, services
from rootstock.modelhub.drifting import drift_judge
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import (
    Alarm,
    Deployment,
    DriftBaseline,
    DriftRow,
    DriftWindow,
    Outcome,
    TrafficBucket,
)
from rootstock.modelhub.monitoring.tallies import Tally
from rootstock.modelhub.services.looks import monitoring_look
from rootstock.modelhub.services.sources import source_pull
from rootstock.modelhub.services.traffic import traffic_compact
from rootstock.modelhub.sources import RowSource, SourceRow
from rootstock.modelhub.tasks import look, monitor
from rootstock.outbox.handlers import handling
from rootstock.outbox.models import OutboxMessage
from rootstock.realtime.models import Event
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.rls import call_lookup
from rootstock.webhooks.models import Delivery
from rootstock.webhooks.services import endpoint_create

pytestmark = pytest.mark.usefixtures("loaded")


@pytest.fixture
def slot(scope: Organisation, place_artifact: Callable[[], str]) -> Deployment:
    version = services.version_register(name=NAME, artifact_path=place_artifact(), actor=ACTOR)
    return services.version_promote(version=version, actor=ACTOR)


@pytest.fixture
def inference_process(slot: Deployment, monkeypatch: pytest.MonkeyPatch) -> FakeInference:
    fake = FakeInference(inference._client(0))
    monkeypatch.setattr("rootstock.modelhub.inference._client", lambda _: fake)
    return fake


def tally(slot: Deployment) -> Tally:
    since = timezone.now() - timedelta(hours=1)
    return Tally.sum(monitoring_selectors.traffic(slot, since=since))


def texts(count: int, *, seed: int = 0, words: list[str] | None = None) -> list[str]:
    generator = random.Random(seed)
    chosen = words or [*COMMON, *WORDS["positive"], *WORDS["negative"]]
    return [" ".join(generator.choices(chosen, k=generator.randint(4, 12))) for _ in range(count)]


def test_answers_are_counted_where_they_are_logged(
    slot: Deployment, inference_process: FakeInference
) -> None:
    inference_process.set(
        slot.version, lambda text: ("negative", 0.6) if "falls" in text else ("positive", 0.9)
    )
    ask(["profit rises", "the share falls", "profit rises today"])
    ask(["银行利润上升"], language="zh")
    found = tally(slot)
    assert (found.answered, found.failed) == (4, 0)
    assert found.confidence == pytest.approx((3 * 0.9 + 0.6) / 4)
    assert found.counts["label"] == {"positive": 3, "negative": 1}
    assert found.counts["language"] == {"en": 3, "zh": 1}
    assert sum(found.counts["length"].values()) == sum(found.counts["latency"].values()) == 4


def test_stretches_are_added_up_and_nothing_is_lost(
    slot: Deployment, inference_process: FakeInference
) -> None:
    for number in range(5):
        ask([f"profit rises {number}"] * 3)
    services.predictions_failed(deployment_id=slot.pk, version_id=slot.version_id, count=2)
    before = tally(slot).columns()
    assert TrafficBucket.objects.count() == 6
    traffic_compact()
    assert TrafficBucket.objects.count() <= 2, "the test may run over the border of a stretch"
    assert tally(slot).columns() == before
    TrafficBucket.objects.update(start=timezone.now() - timedelta(days=5))
    ask(["profit rises"])
    traffic_compact()
    widths = sorted(TrafficBucket.objects.values_list("width", flat=True))
    assert widths[0] == 300
    assert widths[-1] == 3600, "old stretches are hours"
    assert sum(TrafficBucket.objects.values_list("answered", flat=True)) == 16


def test_another_organisation_sees_nothing_of_it(
    slot: Deployment, inference_process: FakeInference, organisation: Organisation
) -> None:
    ask(["profit rises"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('rootstock.organisation', %s, true)", [str(uuid.uuid4())])
        cursor.execute("SELECT count(*) FROM modelhub_trafficbucket")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM modelhub_driftrow")
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT set_config('rootstock.organisation', %s, true)", [str(organisation.pk)]
        )
    assert tally(slot).answered == 1


def test_a_label_of_a_person_is_compared_with_what_was_answered(
    slot: Deployment, inference_process: FakeInference
) -> None:
    """The way of a correction: the application's rows are pulled into a data set and labelled there."""
    inference_process.set(slot.version, lambda _text: ("positive", 0.8))
    ids = ask(["profit rises", "the share falls"])
    dataset = services.dataset_create(name="headlines", actor=ACTOR)

    def rows(_task: str, _cursor: str) -> Any:
        for text, subject in zip(["profit rises", "the share falls"], ids, strict=True):
            yield SourceRow(
                content={"text": text}, cursor=text, subject=("finance.document", subject)
            )

    source = RowSource(
        "test.rows", "Rows", "", frozenset({"text-classification"}), Permission.MODELS_READ, rows
    )
    source_pull(dataset=dataset, source=source, actor=ACTOR)
    first, second = dataset.examples.order_by("id")
    services.example_relabel(example=first, label="positive", actor=ACTOR)
    services.example_relabel(example=second, label="negative", actor=ACTOR)
    known = monitoring_selectors.labelled(
        slot, slot.version_id, since=timezone.now() - timedelta(hours=1)
    )
    assert (known.known, known.right) == (2, 1)

    services.example_relabel(example=second, label="positive", actor=ACTOR)
    assert Outcome.objects.count() == 2, "a second label replaces the first"
    assert Outcome.objects.filter(actual="positive").count() == 2
    services.example_relabel(example=second, label="unheard of", actor=ACTOR)
    services.example_relabel(example=second, label="", actor=ACTOR)
    assert Outcome.objects.count() == 1, "a label that is taken away takes the comparison back"


def test_labels_that_a_business_system_tells(
    slot: Deployment, inference_process: FakeInference
) -> None:
    [subject] = ask(["profit rises"])
    label = services.LateLabel(services.Subject("finance.document", subject), "negative")
    assert services.outcomes_add(deployment=slot, labels=[label]) == 1
    nobody = services.LateLabel(services.Subject("finance.document", uuid.uuid4()), "negative")
    assert services.outcomes_add(deployment=slot, labels=[nobody]) == 0
    with pytest.raises(ModelhubError) as refused:
        services.outcomes_add(
            deployment=slot,
            labels=[services.LateLabel(services.Subject("finance.document", subject), "sideways")],
        )
    assert refused.value.errors[0]["pointer"] == "/labels/0/label"


def judge_now(organisation: Organisation) -> list[Any]:
    with handling(organisation.pk):
        return drift_judge({})


def test_windows_of_texts_are_judged_against_the_first_ones(
    slot: Deployment,
    inference_process: FakeInference,
    scope: Organisation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask(texts(1100))
    assert DriftRow.objects.count() == 1000, "no more is kept than a baseline takes"
    look({}, judge_now(scope))
    baseline = DriftBaseline.objects.get()
    assert (baseline.source, baseline.rows) == ("live", 1000)
    assert not DriftRow.objects.exists()

    ask(texts(600, seed=1))
    assert DriftRow.objects.count() == 500
    look({}, judge_now(scope))
    assert not DriftWindow.objects.get().drifted
    assert not DriftRow.objects.exists()

    ask(texts(20, seed=2))
    assert not DriftRow.objects.exists(), "a pause between two windows"
    # As if it were over; below zero, because the whole test is one moment to the database.
    monkeypatch.setattr("rootstock.modelhub.services.drift.PAUSE", timedelta(hours=-1))
    ask(texts(500, seed=3, words=["weather", "football", "cinema", "recipe", "garden", *COMMON]))
    look({}, judge_now(scope))
    window = DriftWindow.objects.order_by("-id").first()
    assert window is not None
    assert window.drifted
    assert {s["signal"] for s in window.signals if s["drifted"]} >= {"text"}
    assert len(window.examples) == 5
    assert not Alarm.objects.exists(), "one window may be chance: two in a row raise the alarm"
    ask(texts(500, seed=4, words=["weather", "football", "cinema", "recipe", "garden", *COMMON]))
    look({}, judge_now(scope))
    assert Alarm.objects.get().rule == "drift"


def test_windows_are_compared_with_the_snapshot_when_the_rules_say_so(
    scope: Organisation, place_artifact: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = make_snapshot(count=600)
    version = services.version_register(
        name=NAME, artifact_path=place_artifact(), actor=ACTOR, snapshot=snapshot
    )
    services.version_promote(version=version, actor=ACTOR)
    services.monitor_policy_update(deployment=NAME, rules={}, drift_source="snapshot", actor=ACTOR)
    fake = FakeInference(inference._client(0))
    monkeypatch.setattr("rootstock.modelhub.inference._client", lambda _: fake)
    ask([example.text for example in make_examples(520, seed=9)])
    look({}, judge_now(scope))
    baseline, window = DriftBaseline.objects.get(), DriftWindow.objects.get()
    assert (baseline.source, window.drifted) == ("snapshot", False)
    assert [each["signal"] for each in window.signals] == ["text", "length", "language"]
    services.monitor_policy_update(deployment=NAME, rules={}, drift_source="live", actor=ACTOR)
    assert not DriftBaseline.objects.exists(), "the next is made of live texts"


def test_texts_read_by_another_base_begin_a_new_baseline(
    slot: Deployment, inference_process: FakeInference, scope: Organisation
) -> None:
    ask(texts(1000))
    look({}, judge_now(scope))
    ask(texts(500, seed=1))
    inference_process.base_digest = "77aa"
    look({}, judge_now(scope))
    assert not DriftWindow.objects.exists(), "vectors of two bases are not compared"
    assert DriftBaseline.objects.get().encoder == "base:packaged 77aa"


def test_a_window_is_judged_once_even_when_two_look_at_it(
    slot: Deployment, inference_process: FakeInference, scope: Organisation
) -> None:
    ask(texts(1000))
    look({}, judge_now(scope))
    ask(texts(500, seed=1))
    first, second = judge_now(scope), judge_now(scope)
    look({}, first)
    look({}, second)
    assert DriftWindow.objects.count() == 1


def test_drift_waits_while_nobody_makes_vectors(
    slot: Deployment,
    inference_process: FakeInference,
    scope: Organisation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise serving.InferenceUnavailable("nobody listens")

    ask(texts(1000))
    monkeypatch.setattr(inference_process, "predict", away)
    look({}, judge_now(scope))
    assert DriftRow.objects.count() == 1000


def test_an_alarm_opens_is_told_and_closes_by_itself(
    slot: Deployment, inference_process: FakeInference
) -> None:
    endpoint_create(
        url="https://example.com/hook",
        event_types=["models.alarm.opened", "models.alarm.closed"],
        actor=ACTOR,
    )
    ask(["profit rises"] * 30)
    monitoring_look()
    assert not Alarm.objects.exists()
    services.predictions_failed(deployment_id=slot.pk, version_id=slot.version_id, count=10)
    monitoring_look()
    monitoring_look()
    alarm = Alarm.objects.get()
    assert (alarm.rule, alarm.is_open) == ("errors", True)
    assert alarm.opening["value"] == pytest.approx(0.25)
    assert set(Event.objects.filter(stream="models").values_list("type", flat=True)) >= {
        "alarm.opened"
    }
    assert [each.event_type for each in Delivery.objects.all()] == ["models.alarm.opened"]

    services.alarm_acknowledge(alarm=alarm, actor=ACTOR)
    assert Alarm.objects.get().acknowledged_by == "Ada"
    ask(["profit rises"] * 300)
    monitoring_look()
    assert not Alarm.objects.get().is_open
    assert Delivery.objects.filter(event_type="models.alarm.closed").count() == 1
    with pytest.raises(Conflict):
        services.alarm_acknowledge(alarm=alarm, actor=ACTOR)


def test_rules_are_set_and_switched_off(slot: Deployment, inference_process: FakeInference) -> None:
    ask(["profit rises"] * 30)
    services.predictions_failed(deployment_id=slot.pk, version_id=slot.version_id, count=10)
    services.monitor_policy_update(
        deployment=NAME, rules={"errors": {"limits": {"share": 50}}}, actor=ACTOR
    )
    monitoring_look()
    assert not Alarm.objects.exists()
    services.monitor_policy_update(deployment=NAME, rules={}, actor=ACTOR)
    monitoring_look()
    assert Alarm.objects.get().is_open
    services.monitor_policy_update(
        deployment=NAME, rules={"errors": {"enabled": False}}, actor=ACTOR
    )
    monitoring_look()
    assert not Alarm.objects.get().is_open
    for wrong, place in (
        ({"mood": {}}, "/rules/mood"),
        ({"errors": {"limits": {"share": 500}}}, "/rules/errors/limits/share"),
    ):
        with pytest.raises(ModelhubError) as refused:
            services.monitor_policy_update(deployment=NAME, rules=wrong, actor=ACTOR)
        assert refused.value.errors[0]["pointer"] == place


def test_less_confidence_than_last_week_raises_an_alarm(
    slot: Deployment, inference_process: FakeInference
) -> None:
    ask(["profit rises"] * 250)
    TrafficBucket.objects.update(start=timezone.now() - timedelta(days=2))
    inference_process.set(slot.version, lambda _text: ("positive", 0.5))
    ask(["profit rises"] * 250)
    monitoring_look()
    alarm = Alarm.objects.get()
    assert alarm.rule == "confidence"
    assert alarm.latest["value"] == pytest.approx(0.4)


def test_the_minute_task_finds_the_organisations_with_traffic(
    slot: Deployment, inference_process: FakeInference, scope: Organisation
) -> None:
    ask(["profit rises"])
    due = {row["organisation_id"] for row in call_lookup("modelhub_monitored_organisations")}
    assert due == {scope.pk}
    monitor()
    assert OutboxMessage.objects.filter(topic="modelhub.monitor").count() == 1
