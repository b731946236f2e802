"""Portfolios and watch-lists: who is in them, how they stand, and what watches them."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.finance_sentiment import portfolio_jobs
from apps.finance_sentiment.models import (
    Alert,
    Entity,
    Holding,
    Instrument,
    Monitor,
    Portfolio,
    Subject,
    TimeBucket,
)
from apps.finance_sentiment.selectors.alerts import subject_label
from apps.finance_sentiment.selectors.portfolios import (
    portfolio_figures,
    portfolio_members,
    weighted_share,
)
from apps.finance_sentiment.selectors.previews import rule_preview
from apps.finance_sentiment.selectors.trends import trend_series
from apps.finance_sentiment.services.buckets import buckets_rebuild
from apps.finance_sentiment.services.entities import entities_take, entity_parse, entity_remove
from apps.finance_sentiment.services.holding_files import holdings_import
from apps.finance_sentiment.services.portfolio_counts import KIND
from apps.finance_sentiment.services.portfolios import (
    HoldingInput,
    holding_remove,
    holdings_put,
    portfolio_delete,
    portfolio_save,
)
from apps.finance_sentiment.services.rules import RuleRefused, rule_create
from rootstock.common.actors import SYSTEM
from rootstock.common.line_files import FileRefused
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job
from rootstock.tenancy.models import Organisation, Role
from rootstock.tenancy.scope import organisation_scope
from tests.integration.finance_sentiment.test_exports import whole
from tests.integration.finance_sentiment.test_surges import calm, storm

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
JSON = "application/json"
ROOT = "/api/v1/finance/portfolios"


def entity(name: str, **more: Any) -> Entity:
    report = entities_take(entities=[entity_parse({"name": name, **more})], actor=SYSTEM)
    return Entity.objects.get(pk=report.ids[0])


def portfolio(name: str = "Energy desk", *members: Entity, **values: Any) -> Portfolio:
    made = portfolio_save(portfolio=None, actor=SYSTEM, values={"name": name, **values})
    if members:
        holdings = [HoldingInput(one.pk) for one in members]
        holdings_put(portfolio=made, holdings=holdings, actor=SYSTEM)
    return made


class _Context:
    """A job without a worker."""

    def __init__(self, organisation: Organisation, job: Job) -> None:
        self.organisation, self.params = organisation, job.params
        self.fractions: list[float] = []

    def scope(self) -> Any:
        return organisation_scope(self.organisation.pk)

    def progress(self, fraction: float, **_: Any) -> None:
        self.fractions.append(fraction)


@pytest.fixture
def work(scope: Organisation) -> Callable[[], list[dict[str, Any]]]:
    """Does the counting jobs that wait, and returns what they say."""

    def do() -> list[dict[str, Any]]:
        done = []
        for job in Job.objects.filter(kind=KIND, state=Job.State.QUEUED).order_by("id"):
            Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING)
            context: Any = _Context(scope, job)
            done.append(portfolio_jobs.recount(context))
            Job.objects.filter(pk=job.pk).update(state=Job.State.SUCCEEDED)
        return done

    return do


def counts(portfolio: Portfolio, width: int = 3600) -> list[tuple[int, int, int, int]]:
    """(documents, negative ones, stories, negative ones) of each of its buckets."""
    return list(
        TimeBucket.objects.filter(kind="portfolio", key=str(portfolio.pk), width=width)
        .order_by("start")
        .values_list("documents", "documents_negative", "stories", "stories_negative")
    )


def every_bucket() -> set[tuple[Any, ...]]:
    return set(TimeBucket.objects.values_list("width", "start", "kind", "key", "documents",
               "documents_negative", "stories", "stories_negative", "stories_positive"))  # fmt: skip


def test_a_story_that_names_several_members_counts_once(score, models, scope):
    orrin, tessaly = entity("Orrin"), entity("Tessaly")
    held = portfolio("Energy desk", orrin, tessaly)
    score(
        {"title": "Orrin rises as Tessaly wins", "published_at": NOON},
        {"title": "Fraud lawsuit at Tessaly", "published_at": NOON + timedelta(minutes=2)},
        {"title": "Harlow falls", "published_at": NOON + timedelta(minutes=3)},
    )
    assert counts(held) == [(2, 1, 2, 1)]
    assert counts(held, width=60) == [(1, 0, 1, 0), (1, 1, 1, 1)]
    subject = Subject("portfolio", str(held.pk))
    (point,) = trend_series(subject=subject, start=NOON, end=NOON + timedelta(hours=1), width=3600)
    assert (point.stories, point.stories_negative) == (2, 1)
    assert subject_label(subject) == "Energy desk"


def test_the_past_is_counted_again_with_other_members(score, models, scope, work):
    orrin, tessaly = entity("Orrin"), entity("Tessaly")
    score(
        {"title": "Orrin falls", "published_at": NOON},
        {"title": "Tessaly falls", "published_at": NOON + timedelta(seconds=5)},
        {"title": "Tessaly wins", "published_at": NOON + timedelta(days=40)},
        {"title": "Tessaly wins", "published_at": NOON + timedelta(days=40), "source": "Post"},
    )
    others = every_bucket()
    held = portfolio("Energy desk", orrin, tessaly)
    assert (held.counted_at, counts(held)) == (None, [])
    work()
    held.refresh_from_db()
    assert held.counted_at is not None
    assert counts(held) == [(2, 2, 2, 2), (2, 0, 1, 0)]
    assert others < every_bucket()

    holding_remove(holding=held.holdings.get(entity=tessaly), actor=SYSTEM)
    work()
    assert counts(held) == [(1, 1, 1, 1)]
    counted = every_bucket()
    buckets_rebuild()
    assert every_bucket() == counted

    holding_remove(holding=held.holdings.get(), actor=SYSTEM)
    work()
    assert every_bucket() == others
    assert work() == []


def test_weights_alone_change_no_counts_and_one_job_waits_for_several_changes(score, models, scope):
    orrin, tessaly = entity("Orrin"), entity("Tessaly")
    held = portfolio("Energy desk", orrin)
    holdings_put(portfolio=held, holdings=[HoldingInput(tessaly.pk)], actor=SYSTEM)
    holdings_put(portfolio=held, holdings=[HoldingInput(tessaly.pk, 3.5)], actor=SYSTEM)
    assert Job.objects.filter(kind=KIND).count() == 1
    assert held.holdings.get(entity=tessaly).weight == 3.5
    Job.objects.update(state=Job.State.SUCCEEDED)
    holdings_put(portfolio=held, holdings=[HoldingInput(tessaly.pk, 4)], actor=SYSTEM)
    assert not Job.objects.filter(state=Job.State.QUEUED).exists()


def test_members_by_weight_and_the_share_that_goes_with_it(score, models, scope):
    orrin, tessaly, quiet = entity("Orrin"), entity("Tessaly"), entity("Quiet")
    held = portfolio()
    holdings = [HoldingInput(orrin.pk, 3), HoldingInput(tessaly.pk, 1), HoldingInput(quiet.pk, 4)]
    holdings_put(portfolio=held, holdings=holdings, actor=SYSTEM)
    score(
        {"title": "Orrin falls", "published_at": NOON},
        {"title": "Tessaly wins", "published_at": NOON},
    )
    span = {"start": NOON - timedelta(hours=1), "end": NOON + timedelta(hours=1)}
    members = portfolio_members(portfolio=held, **span)
    assert [(one.entity.name, one.part, one.stories, one.share) for one in members] == [
        ("Quiet", 0.5, 0, 0.0), ("Orrin", 0.375, 1, 1.0), ("Tessaly", 0.125, 1, 0.0),
    ]  # fmt: skip
    assert weighted_share(members) == 0.75
    assert weighted_share(members[:1]) is None
    assert portfolio_figures(**span)[str(held.pk)].stories == 2


def test_a_watch_list_has_no_weights(scope):
    orrin = entity("Orrin")
    held = portfolio("List", kind="watch-list")
    holdings_put(portfolio=held, holdings=[HoldingInput(orrin.pk, 7)], actor=SYSTEM)
    assert held.holdings.get().weight == 1
    portfolio_save(portfolio=held, actor=SYSTEM, values={"kind": "portfolio"})
    holdings_put(portfolio=held, holdings=[HoldingInput(orrin.pk, 7)], actor=SYSTEM)
    portfolio_save(portfolio=held, actor=SYSTEM, values={"kind": "watch-list"})
    assert held.holdings.get().weight == 1


@pytest.mark.parametrize(
    ("weight", "pointer"),
    [(0.0, "weight"), (-1.0, "weight"), (float("nan"), "weight"), (float("inf"), "weight")],
)
def test_a_weight_is_a_number_above_nothing(scope, weight, pointer):
    orrin = entity("Orrin")
    with pytest.raises(Problem) as refused:
        holdings_put(portfolio=portfolio(), holdings=[HoldingInput(orrin.pk, weight)], actor=SYSTEM)
    assert refused.value.errors[0]["pointer"] == f"/holdings/0/{pointer}"
    assert not Holding.objects.exists()


def test_an_entity_that_is_forgotten_leaves_its_portfolios(score, models, scope, work):
    orrin, tessaly = entity("Orrin"), entity("Tessaly")
    held = portfolio("Energy desk", orrin, tessaly)
    score({"title": "Orrin falls", "published_at": NOON})
    assert counts(held) == [(1, 1, 1, 1)]
    entity_remove(entity=orrin, actor=SYSTEM)
    work()
    assert counts(held) == []
    assert [one.entity for one in held.holdings.all()] == [tessaly]


def named(documents: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [{**one, "title": f"{one['title']} {name}"} for one in documents]


def test_a_rule_watches_a_portfolio_as_its_preview_says(score, detect, models, scope):
    fast = {"bucket_seconds": 5, "scope": "portfolio"}
    held = portfolio("Energy desk", entity("Wexcombe"), entity("Zabrinsk"))
    Portfolio.objects.update(counted_at=NOON)
    portfolio("Other", entity("Harlow"))
    for key, said in (
        ("", "which portfolio"), ("energy", "no portfolio"), (str(uuid.uuid4()), "no portfolio"),
        (str(held.pk).upper(), "no portfolio"),
    ):  # fmt: skip
        with pytest.raises(RuleRefused, match=said):
            rule_create(actor=SYSTEM, values={"name": "x", **fast, "key": key})
    rule = rule_create(actor=SYSTEM, values={"name": "Desk", **fast, "key": str(held.pk)})
    surge = NOON + timedelta(minutes=6)
    batches = (calm(NOON, 6), storm(surge, 40), calm(surge + timedelta(seconds=40), 3, 2000))
    for batch in batches:
        score(
            *named(batch[: len(batch) // 2], "Wexcombe"),
            *named(batch[len(batch) // 2 :], "Zabrinsk"),
        )
        detect()
    alert = Alert.objects.get(rule=rule)
    assert alert.subject == Subject("portfolio", str(held.pk))
    assert alert.evidence["stories"]
    preview = rule_preview(rule=rule, since=NOON, until=NOON + timedelta(minutes=11))
    assert [(a.subject, a.opened_at, a.closed_at) for a in preview.alerts] == [
        (alert.subject, alert.opened_at, alert.resolved_at)
    ]
    with pytest.raises(Problem, match="Desk"):
        portfolio_delete(portfolio=held, actor=SYSTEM)


def test_new_members_are_no_surge(score, detect, models, scope, work):
    """A company of which much bad is said joins: the rule waits for the past, and learns it."""
    wexcombe, zabrinsk = entity("Wexcombe"), entity("Zabrinsk")
    held = portfolio("Energy desk", wexcombe)
    work()
    rule = rule_create(actor=SYSTEM, values={"name": "Desk", "scope": "portfolio",
                       "key": str(held.pk), "bucket_seconds": 5})  # fmt: skip
    score(*named(calm(NOON, 6), "Wexcombe"))
    detect()
    surge = NOON + timedelta(minutes=6)
    score(*named(storm(surge, 40), "Zabrinsk"))
    detect()
    judged = Monitor.objects.get(rule=rule).settled
    assert judged
    holdings_put(portfolio=held, holdings=[HoldingInput(zabrinsk.pk)], actor=SYSTEM)
    detect()
    assert Monitor.objects.get(rule=rule).settled is None
    work()
    score(*named(calm(surge + timedelta(minutes=2), 3, 2000), "Wexcombe"))
    detect()
    assert Monitor.objects.get(rule=rule).settled
    assert not Alert.objects.filter(rule=rule).exists()


def file(text: str | bytes, name: str = "held.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)


def test_a_file_of_holdings_names_entities_in_three_ways(scope):
    orrin = entity("Orrin Oil", symbol="ORR", exchange="XNYS")
    Instrument.objects.create(entity=orrin, symbol="9988", exchange="XHKG")
    ping = entity("Ping An", name_zh="中国平安", symbol="601318", exchange="XSHG")
    entity("Twin A", aliases=["Twin"])
    entity("Twin B", aliases=["Twin"])
    held = portfolio()
    text = (
        'Symbol,exchange,name,key,weight\nORR,XNYS,,,2.5%\n9988,,,,1\n,,中国平安,,"1,000"\n'
        ",,Nobody,,1\n,,Twin,,1\n,,,,1\n,,Orrin Oil,,many\n,,,orrin-oil,\n"
    )
    report = holdings_import(portfolio=held, file=file(text), name="held.csv", actor=SYSTEM)
    assert [(bad.line, bad.reason) for bad in report.bad_rows] == [
        (5, "“Nobody” is no entity that is followed."),
        (6, "“Twin” may be several entities; give the key."),
        (7, "A row needs a key, a symbol or a name."),
        (8, "“many” is no weight: a number above 0 is needed."),
    ]
    assert dict(held.holdings.values_list("entity", "weight")) == {orrin.pk: 4.5, ping.pk: 1000.0}

    whole = "name\nOrrin Oil\nNobody\n"
    report = holdings_import(
        portfolio=held, file=file(whole), name="x.csv", actor=SYSTEM, is_replaced=True
    )
    assert (report.stored, held.holdings.count()) == (0, 2)
    whole = "name\nOrrin Oil\n"
    holdings_import(portfolio=held, file=file(whole), name="x.csv", actor=SYSTEM, is_replaced=True)
    assert [one.entity for one in held.holdings.all()] == [orrin]
    with pytest.raises(FileRefused):
        holdings_import(portfolio=held, file=file("x"), name="x.pdf", actor=SYSTEM)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=300), ending=st.sampled_from(["csv", "jsonl"]))
def test_any_file_is_read_or_refused(scope, raw, ending):
    held = Portfolio.objects.first() or portfolio()
    raw = b"name,weight\n" + raw if ending == "csv" else raw
    try:
        holdings_import(portfolio=held, file=io.BytesIO(raw), name=f"x.{ending}", actor=SYSTEM)
    except FileRefused as error:
        assert str(error)
    assert not held.holdings.exists()


@pytest.fixture
def api(organisation, make_key):
    return Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})


def test_rest_makes_fills_reads_and_deletes_portfolios(api, organisation):
    with organisation_scope(organisation.pk):
        orrin, tessaly = entity("Orrin"), entity("Tessaly")
    made = api.post(ROOT, {"name": "Energy desk"}, JSON)
    assert made.status_code == 201, made.content
    path = f"{ROOT}/{made.json()['id']}"
    assert (made.json()["kind"], made.json()["members"]) == ("portfolio", 0)
    assert api.post(ROOT, {"name": "Energy desk"}, JSON).json()["errors"][0]["pointer"] == "/name"

    holdings = [{"entity": str(orrin.pk), "weight": 2}, {"entity": str(tessaly.pk)}]
    put = api.post(f"{path}/holdings", {"holdings": holdings}, JSON)
    assert put.json() == {"stored": 2}, put.content
    rows = api.get(f"{path}/holdings").json()["results"]
    assert {row["entity"]["name"]: row["weight"] for row in rows} == {"Orrin": 2.0, "Tessaly": 1.0}
    assert api.get(path).json()["counted_at"] is None
    unknown = {"holdings": [{"entity": str(uuid.uuid4())}]}
    answer = api.post(f"{path}/holdings", unknown, JSON)
    assert answer.json()["errors"][0]["pointer"] == "/holdings/0/entity"
    text = whole(api.get(f"{path}/holdings.csv")).removeprefix("\ufeff")
    assert text.splitlines()[0] == "key,name,name_zh,listings,weight"
    assert "orrin,Orrin,,,2.0" in text

    assert api.put(f"{path}/holdings", {"holdings": holdings[:1]}, JSON).json() == {"stored": 1}
    (row,) = api.get(f"{path}/holdings").json()["results"]
    assert api.delete(f"{path}/holdings/{row['id']}").status_code == 204

    etag = api.get(path)["ETag"]
    changed = api.patch(path, {"name": "Desk"}, JSON, headers={"If-Match": etag})
    assert changed.json()["name"] == "Desk"
    assert api.patch(path, {"name": "x"}, JSON, headers={"If-Match": etag}).status_code == 412
    rule = api.post("/api/v1/finance/rules", {"name": "R", "scope": "portfolio",
                    "key": made.json()["id"]}, JSON)  # fmt: skip
    assert rule.status_code == 201, rule.content
    assert api.delete(path).status_code == 409
    api.post("/api/v1/finance/rules", {"name": "Other"}, JSON)
    api.delete(f"/api/v1/finance/rules/{rule.json()['id']}")
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_rest_gives_the_trend_and_the_preview_of_a_portfolio(api, organisation, score, models):
    with organisation_scope(organisation.pk):
        held = portfolio("Energy desk", entity("Orrin"))
        score({"title": "Orrin falls", "published_at": NOON})
    span = {"since": NOON.isoformat(), "until": (NOON + timedelta(hours=1)).isoformat()}
    asked = {"kind": "portfolio", "key": str(held.pk), "width": 3600, **span}
    answer = api.get("/api/v1/finance/trend", asked)
    assert answer.status_code == 200, answer.content
    assert [point["stories_negative"] for point in answer.json()["points"]] == [1]
    assert api.get("/api/v1/finance/trend", {**asked, "topic": "x"}).status_code == 422
    wanted = {"scope": "portfolio", "key": str(held.pk), **span}
    found = api.post("/api/v1/finance/rules/preview", wanted, JSON)
    assert found.json()["shown"]["label"] == "Energy desk", found.content
    wanted["key"] = str(uuid.uuid4())
    refused = api.post("/api/v1/finance/rules/preview", wanted, JSON)
    assert (refused.status_code, "no portfolio" in refused.json()["detail"]) == (422, True)


@pytest.fixture
def page(organisation, make_user):
    client = Client()
    client.force_login(make_user(organisation=organisation, role=Role.ANALYST))
    return client


def test_pages_from_an_empty_list_to_a_portfolio_with_figures(page, organisation, score, models):
    listing = reverse("finance:portfolios")
    assert "Nothing is followed together yet" in page.get(listing).content.decode()
    made = page.post(reverse("finance:portfolio-new"), {"name": "Energy desk", "kind": "portfolio"})
    assert made.status_code == 302, made.context["form"].errors
    with organisation_scope(organisation.pk):
        orrin = entity("Orrin", symbol="ORR", exchange="XNYS")
        entity("Harlow")
        held = Portfolio.objects.get()
    path = reverse("finance:portfolio", args=[held.pk])
    found = page.get(
        reverse("finance:portfolio-find", args=[held.pk]), {"q": "orr"}
    ).content.decode()
    assert "Orrin" in found
    assert "Harlow" not in found
    added = page.post(path, {"action": "add", "entity": str(orrin.pk), "weight": "2.5"})
    assert added.status_code == 302
    with organisation_scope(organisation.pk):
        Portfolio.objects.update(counted_at=NOON)
        score({"title": "Orrin falls"})
    text = page.get(path).content.decode()
    assert "Orrin" in text
    assert "100\u202f%" in text
    assert "Energy desk" in page.get(listing).content.decode()
    found = page.get(
        reverse("finance:portfolio-find", args=[held.pk]), {"q": "orr"}
    ).content.decode()
    assert "Add" not in found

    assert page.post(path, {"action": "weights", f"weight-{orrin.pk}": "-1"}).status_code == 422
    assert page.post(path, {"action": "weights", f"weight-{orrin.pk}": "7"}).status_code == 302
    bad = page.post(path, {"action": "file", "file": file("name,weight\nOrrin,3\nNobody,1\n")})
    assert "is no entity that is followed" in bad.content.decode()
    with organisation_scope(organisation.pk):
        holding = Holding.objects.get()
        assert holding.weight == 3
    page.post(reverse("finance:holding-remove", args=[held.pk, holding.pk]))
    gone = reverse("finance:portfolio-remove", args=[held.pk])
    page.post(gone, {"confirm": "Energy"})
    with organisation_scope(organisation.pk):
        assert not Holding.objects.exists()
        assert Portfolio.objects.exists()
    page.post(gone, {"confirm": "Energy desk"})
    with organisation_scope(organisation.pk):
        assert not Portfolio.objects.exists()


def test_the_form_of_a_rule_offers_portfolios(page, organisation):
    with organisation_scope(organisation.pk):
        held = portfolio("Energy desk")
    shown = page.get(reverse("finance:rule-new"))
    form = shown.context["form"]
    data = {name: form[name].value() for name in form.fields}
    data = {name: value for name, value in data.items() if value not in (None, False)}
    data |= {"name": "Desk", "scope": "portfolio"}
    assert page.post(reverse("finance:rule-new"), data).status_code == 200
    made = page.post(reverse("finance:rule-new"), {**data, "portfolio": str(held.pk)})
    assert made.status_code == 302, made.context["form"].errors
    assert "Energy desk" in page.get(reverse("finance:rules")).content.decode()


def test_who_may_only_read_changes_nothing(organisation, make_user):
    client = Client()
    client.force_login(make_user(organisation=organisation, role=Role.VIEWER))
    with organisation_scope(organisation.pk):
        held = portfolio()
    assert client.get(reverse("finance:portfolio", args=[held.pk])).status_code == 200
    assert (
        client.post(reverse("finance:portfolio", args=[held.pk]), {"name": "x"}).status_code == 403
    )
    assert client.get(reverse("finance:portfolio-new")).status_code == 403
