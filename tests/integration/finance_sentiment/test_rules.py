"""Rules: as many as one likes, tried on history, each with its own subjects; and what is forecast."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.finance_sentiment.inference import SurgeState, surge_defaults
from apps.finance_sentiment.models import (
    Alert,
    Document,
    Entity,
    Mention,
    Monitor,
    Rule,
    Subject,
    SubjectKind,
    TimeBucket,
)
from apps.finance_sentiment.selectors.previews import rule_preview
from apps.finance_sentiment.selectors.trends import subjects_known, trend_series
from apps.finance_sentiment.services.buckets import buckets_rebuild
from apps.finance_sentiment.services.rules import (
    RuleRefused,
    rule_create,
    rule_delete,
    rule_update,
    rule_values,
    rules_get_or_create,
)
from rootstock.common.actors import Actor
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope
from tests.integration.finance_sentiment.test_surges import calm, storm

pytestmark = pytest.mark.django_db
PERSON = Actor("user", "7", "Ada")
START = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
SURGE_AT = START + timedelta(minutes=6)
FAST = {"bucket_seconds": 5}


class Api:
    """A client with a key."""

    def __init__(self, key: str) -> None:
        self.client = Client()
        self.headers = {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        send = getattr(self.client, method)
        rest = (
            {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        )
        return send(f"/api/v1/finance/{path}", headers={**self.headers, **headers}, **rest)


@pytest.fixture
def api(organisation, make_key):
    return Api(make_key(organisation))


@pytest.fixture
def first(scope):
    """The default rule on a fast clock."""
    rule = rules_get_or_create()[0]
    return rule_update(rule=rule, actor=PERSON, values={**FAST, **surge_defaults(5)})


def history() -> list[dict]:
    return [*calm(START, 6), *storm(SURGE_AT, 40), *calm(SURGE_AT + timedelta(seconds=40), 3, 2000)]


def test_a_new_organisation_has_a_rule_and_keeps_one(scope):
    (rule,) = rules_get_or_create()
    assert (rule.scope, rule.key, rule.measure) == ("topic", "", "negatives")
    assert rules_get_or_create() == [rule]
    with pytest.raises(RuleRefused, match="last rule"):
        rule_delete(rule=rule, actor=PERSON)


def test_each_rule_opens_its_own_alert_on_its_own_subject(score, detect, models, first):
    rule_create(actor=PERSON, values={"name": "Everything", "scope": "all", **FAST})
    rule_create(
        actor=PERSON,
        values={
            "name": "Wire",
            "scope": "source_group",
            "key": "Wire",
            "detector": "ewma-z",
            **FAST,
        },
    )
    rule_create(actor=PERSON, values={"name": "Others", "scope": "topic", "key": "credit", **FAST})
    score(*calm(START, 6))
    detect()
    score(*storm(SURGE_AT, 40))
    detect()
    found = set(Alert.objects.values_list("rule__name", "kind", "key"))
    assert found == {
        (first.name, "topic", "energy"),
        ("Everything", "all", ""),
        ("Wire", "source_group", "Wire"),
    }
    alert = Alert.objects.get(rule__name="Wire")
    assert alert.evidence["rule"]["detector"] == "ewma-z"
    assert alert.evidence["stories"]


def test_a_rule_made_after_a_surge_raises_nothing_for_it_and_its_preview_shows_it(
    score, detect, models, first
):
    rule_update(rule=first, actor=PERSON, values={"enabled": False})
    score(*history())
    detect()
    values = {"name": "Later", "scope": "all", **FAST}
    late = rule_create(actor=PERSON, values=values)
    detect()
    assert not Alert.objects.exists()
    assert Monitor.objects.filter(rule=late, kind="all").exists()
    preview = rule_preview(rule=late, since=START, until=START + timedelta(minutes=11))
    assert len(preview.alerts) == 1
    (alert,) = preview.alerts
    assert SURGE_AT < alert.opened_at < SURGE_AT + timedelta(seconds=40)
    assert alert.closed_at is not None
    assert alert.peak > 3 * alert.expected
    assert any(point["open"] for point in preview.series)
    strict = Rule(**rule_values({**values, "minimum_negative": 1000}))
    assert not rule_preview(rule=strict, since=START, until=SURGE_AT + timedelta(hours=1)).alerts


def test_the_preview_says_what_the_detector_then_does(score, detect, models, first):
    for row in (
        calm(START, 6),
        storm(SURGE_AT, 40),
        calm(SURGE_AT + timedelta(seconds=40), 3, 2000),
    ):
        score(*row)
        detect()
    preview = rule_preview(rule=first, since=START, until=START + timedelta(minutes=11))
    alert = Alert.objects.get()
    assert [(a.subject, a.opened_at, a.closed_at) for a in preview.alerts] == [
        (Subject("topic", "energy"), alert.opened_at, alert.resolved_at)
    ]


def test_switching_a_rule_off_or_deleting_it_ends_its_alerts(score, detect, models, first):
    other = rule_create(actor=PERSON, values={"name": "All", "scope": "all", **FAST})
    score(*calm(START, 6))
    detect()
    score(*storm(SURGE_AT, 30))
    detect()
    assert Alert.objects.exclude(state="resolved").count() == 2
    rule_update(rule=first, actor=PERSON, values={"enabled": False})
    detect()
    assert Alert.objects.get(rule=first).state == "resolved"
    rule_delete(rule=other, actor=PERSON)
    alert = Alert.objects.get(rule=None)
    assert (alert.state, alert.rule_name) == ("resolved", "All")


def test_figures_that_do_not_fit_are_refused_with_what_is_wrong(scope):
    for values, said in (
        ({"scope": "all", "key": "energy"}, "names no subject"),
        ({"scope": "portfolio"}, "which portfolio"),
        ({"parameters": {"magic": 1}}, "no parameter 'magic'"),
        ({"detector": "cusum", "parameters": {"slack": True}}, "slack must be a number"),
        ({"detector": "s-h-esd", "parameters": {"history": 3}}, "history must be at least"),
        ({"window": 0}, "window must be at least 1"),
    ):
        with pytest.raises(RuleRefused, match=said):
            rule_create(actor=PERSON, values={"name": "x", **values})
    rule_create(actor=PERSON, values={"name": "Twice"})
    with pytest.raises(RuleRefused, match="Twice"):
        rule_create(actor=PERSON, values={"name": "Twice"})


def test_entities_and_sources_have_buckets_and_an_entity_its_own_sentiment(score, models, scope):
    score(
        {"title": "Fraud at Orrin oil helps Tessaly", "published_at": START, "source": "Wire"},
        {"title": "Fraud at Orrin oil helps Tessaly", "published_at": START, "source": "Post"},
    )
    named = Entity.objects.create(key="tessaly", name="Tessaly")
    for document in Document.objects.all():
        Mention.objects.create(
            document=document, entity=named, state="linked", surface="Tessaly", folded="tessaly",
            start=25, end=32, sentiment="positive", published_at=document.published_at,
        )  # fmt: skip
    buckets_rebuild()
    end = START + timedelta(hours=1)
    entity = Subject(SubjectKind.ENTITY, str(named.pk))
    (point,) = trend_series(subject=entity, start=START, end=end, width=3600)
    assert (point.documents, point.positive, point.negative, point.stories) == (2, 2, 0, 1)
    (point,) = trend_series(topic="", start=START, end=end, width=3600)
    assert (point.negative, point.stories, point.stories_negative) == (2, 1, 1)
    assert subjects_known(SubjectKind.SOURCE_GROUP) == ["Post", "Wire"]
    assert TimeBucket.objects.filter(kind="source_group", width=3600).count() == 2


def test_rest_makes_reads_changes_and_deletes_rules(api, organisation):
    made = api(
        "post",
        "rules",
        {"name": "Volume", "scope": "all", "measure": "volume", "detector": "cusum"},
    )
    assert made.status_code == 201, made.content
    rule = made.json()
    assert rule["threshold"] == 12.0
    path = f"rules/{rule['id']}"
    assert {row["name"] for row in api("get", "rules").json()["results"]} == {"Volume"}
    body = {**{k: v for k, v in rule.items() if not k.endswith("_at") and k != "id"}, "window": 7}
    changed = api("put", path, body, **{"If-Match": made["ETag"]})
    assert changed.json()["window"] == 7
    assert api("put", path, body, **{"If-Match": made["ETag"]}).status_code == 412
    assert api("put", path, {**body, "bucket_seconds": 7}).status_code == 422
    refused = api("post", "rules", {**body, "name": "x", "parameters": {"slack": "much"}})
    assert "slack must be a number" in refused.json()["detail"]
    assert api("delete", path).status_code == 409
    api("post", "rules", {"name": "Another"})
    assert api("delete", path).status_code == 204
    assert api("get", path).status_code == 404


def test_rest_previews_without_a_trace(api, organisation, score, detect, models):
    score(*history())
    asked = {
        "scope": "all",
        **FAST,
        "since": START.isoformat(),
        "until": (START + timedelta(minutes=11)).isoformat(),
    }
    answer = api("post", "rules/preview", asked)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["total"], len(found["alerts"])) == (1, 1)
    assert found["shown"] == {"kind": "all", "key": "", "label": "All topics"}
    assert found["series"]
    with organisation_scope(organisation.pk):
        assert not Alert.objects.exists()
        assert not Monitor.objects.exists()
    backwards = {**asked, "since": asked["until"], "until": asked["since"]}
    assert api("post", "rules/preview", backwards).json()["errors"][0]["pointer"] == "/until"
    assert api("post", "rules/preview", {**asked, "window": 0}).status_code == 422
    ages = {**asked, "since": "1990-01-01T00:00:00Z"}
    assert api("post", "rules/preview", ages).json()["errors"][0]["pointer"] == "/since"


def days_of_stories(count: int) -> None:
    """Daily buckets as if documents had made them: a week with a quiet end."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    TimeBucket.objects.bulk_create(
        TimeBucket(
            kind="all", key="", width=3600, start=today - timedelta(days=count - n), stories=stories,
            stories_negative=stories // 4, documents=stories,
        )
        for n in range(count)
        for stories in [(30, 28, 31, 29, 33, 8, 6)[n % 7] + n % 3]
    )  # fmt: skip


def test_a_forecast_comes_with_its_interval_and_backtest(api, organisation):
    short = api("get", "forecast")
    assert short.status_code == 409
    assert "needs 48" in short.json()["detail"]
    with organisation_scope(organisation.pk):
        days_of_stories(120)
    for measure in ("volume", "negatives", "share"):
        answer = api("get", f"forecast?measure={measure}&width=86400")
        assert answer.status_code == 200, answer.content
        found = answer.json()
        assert len(found["ahead"]) == 7
        assert all(p["low"] <= p["middle"] <= p["high"] for p in found["ahead"])
        assert 0 <= found["backtest"]["coverage"] <= 1
        assert found["backtest"]["mase"] > 0
    assert api("get", "forecast?width=7").status_code == 422


def test_the_direction_of_a_price_is_backtested_honestly(api, organisation):
    with organisation_scope(organisation.pk):
        days_of_stories(200)
    day = datetime.now(UTC).date() - timedelta(days=200)
    prices = [
        {"day": (day + timedelta(days=n)).isoformat(), "close": 100 + (n * 7919 % 31)}
        for n in range(150)
    ]
    answer = api("post", "forecast/direction", {"prices": prices})
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["low"] <= found["accuracy"] <= found["high"]
    assert found["rows"] > 50
    assert api("post", "forecast/direction", {"prices": prices[:20]}).status_code == 422
    twice = api("post", "forecast/direction", {"prices": [*prices, prices[0]]})
    assert "two prices" in twice.json()["detail"]


def test_pages_of_rules_and_forecasts(organisation, make_user, client, score, models):
    user = make_user(organisation=organisation, role=Role.ANALYST)
    client.force_login(user)
    assert client.get(reverse("finance:rules")).status_code == 200
    page = client.get(reverse("finance:rule-new"))
    assert b"rule-chart" in page.content
    form = page.context["form"]
    data = {name: form[name].value() for name in form.fields}
    data = {name: value for name, value in data.items() if value not in (None, False)}
    made = client.post(reverse("finance:rule-new"), {**data, "name": "Mine", "season": "on"})
    assert made.status_code == 302, made.context["form"].errors
    with organisation_scope(organisation.pk):
        rule = Rule.objects.get(name="Mine")
        assert rule.parameters == {"season": True}
    path = reverse("finance:rule", args=[rule.pk])
    assert client.post(path, {**data, "name": "Mine", "window": "9"}).status_code == 302
    with organisation_scope(organisation.pk):
        rule.refresh_from_db()
        assert (rule.window, rule.parameters) == (9, {"season": False})
    assert client.post(path, {**data, "name": "Mine", "window": "0"}).status_code == 200
    assert client.post(reverse("finance:rule-delete", args=[rule.pk])).status_code == 302
    assert b"Too little history" in client.get(reverse("finance:forecast")).content
    with organisation_scope(organisation.pk):
        days_of_stories(120)
    assert b"forecast-chart" in client.get(reverse("finance:forecast")).content


def test_a_state_that_cannot_be_read_is_learned_anew_without_alerts_of_the_past(
    score, detect, models, first
):
    rule_update(rule=first, actor=PERSON, values={"minimum_negative": 10_000})
    score(*history())
    detect()
    rule_update(rule=first, actor=PERSON, values={"minimum_negative": 5})
    Monitor.objects.update(settled={"version": 1})
    detect()
    assert not Alert.objects.exists()
    assert SurgeState.from_json(Monitor.objects.get(key="energy").settled).seen > 0
