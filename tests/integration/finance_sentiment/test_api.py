"""The documents' and signals' API: what it takes, what it refuses, what it gives."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.finance_sentiment.models import Alert, Document
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db
URL = "/api/v1/finance/documents"
NOW = datetime.now(UTC)


class Api:
    """A client with a key."""

    def __init__(self, key: str) -> None:
        self.client = Client()
        self.headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str, **params: Any) -> Any:
        return self.client.get(path, params, headers=self.headers)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(
            path, raw, content_type="application/json", headers={**self.headers, **headers}
        )

    def put(self, path: str, body: Any, **headers: str) -> Any:
        return self.client.put(
            path,
            json.dumps(body),
            content_type="application/json",
            headers={**self.headers, **headers},
        )


@pytest.fixture
def api(organisation, make_key):
    return Api(make_key(organisation))


def row(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "external_id": f"r-{number}",
        "source": "Ledger Wire",
        "title": f"Oil profit rises at company {number}",
        "published_at": "2026-03-04T12:00:00Z",
        **fields,
    }


def refused(response: Any, status: int = 422) -> dict[str, str]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    return {error["pointer"]: error["detail"] for error in body.get("errors", [])}


def test_documents_come_back_scored_in_the_documented_shape(api, drain, models):
    answer = api.post(URL, {"documents": [row(url="https://example.com/1", language="en-GB")]})
    assert answer.status_code == 202
    assert (answer.json()["created"], answer.json()["documents"][0]["status"]) == (1, "pending")
    pending = api.get(URL, external_id="r-1").json()["results"][0]
    assert (pending["status"], pending["sentiment"], pending["language"]) == (
        "pending",
        None,
        "en-GB",
    )
    drain()
    page = api.get(URL, external_id="r-1").json()
    assert (page["next"], page["previous"], len(page["results"])) == (None, None, 1)
    document = page["results"][0]
    assert document["status"] == "scored"
    assert document["sentiment"]["label"] == "positive"
    assert set(document["sentiment"]["probabilities"]) == {"negative", "neutral", "positive"}
    assert document["topics"] == [{"label": "energy", "probability": 0.9}]
    assert [used["deployment"] for used in document["models"]] == [
        "finance.sentiment",
        "finance.topic",
    ]
    assert document["published_at"].startswith("2026-03-04T12:00:00")
    assert document["language"] == "en"
    assert document["story"]
    one = api.get(f"{URL}/{document['id']}").json()
    assert (one["body"], one["revision"], one["story"]) == ("", 1, document["story"])


def test_the_same_request_again_is_answered_alike_and_done_once(api):
    body = {"documents": [row(1), row(2)]}
    first = api.post(URL, body, **{"Idempotency-Key": "batch-1"})
    again = api.post(URL, body, **{"Idempotency-Key": "batch-1"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    refused(api.post(URL, {"documents": [row(3)]}, **{"Idempotency-Key": "batch-1"}))
    without_key = api.post(URL, body).json()
    assert (without_key["created"], without_key["unchanged"]) == (0, 2)


def test_every_bad_document_is_named_and_nothing_is_stored(api, organisation):
    errors = refused(
        api.post(
            URL,
            {
                "documents": [
                    row(1),
                    row(2, title="   "),
                    "not an object",
                    row(4, published_at="yesterday"),
                    row(5, published_at="2026-03-04T12:00:00"),
                    row(6, published_at=(NOW + timedelta(days=3)).isoformat()),
                    row(7, published_at="1812-06-24T00:00:00Z"),
                    row(8, title="x" * 1001, url="ftp://example.com"),
                    row(9, language="gibberish tag!"),
                    row(10, external_id=12),
                    row(11, source="two\nlines"),
                    row(1),
                    row(13, published_at="0001-01-01T00:00:00+14:00"),
                ]
            },
        )
    )
    assert set(errors) == {
        "/documents/1/title", "/documents/2", "/documents/3/published_at",
        "/documents/4/published_at", "/documents/5/published_at", "/documents/6/published_at",
        "/documents/7/title", "/documents/7/url", "/documents/8/language",
        "/documents/9/external_id", "/documents/10/source", "/documents/11/external_id",
        "/documents/12/published_at",
    }  # fmt: skip
    assert "1001 characters" in errors["/documents/7/title"]
    assert "time zone" in errors["/documents/4/published_at"]
    with organisation_scope(organisation.pk):
        assert not Document.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"documents": [', 400),
        (b"[]", 422),
        (b'{"documents": {}}', 422),
        (b'{"documents": []}', 422),
        (b'{"documents": [NaN]}', 400),
        ('{"documents": [{"title": "央行"}]}'.encode("gbk"), 400),
        ('{"documents": []}'.encode("utf-16"), 400),
        (b'{"documents": [{"title": "caf\xe9"}]}', 400),
        (b"", 422),
        (b'{"documents": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    ],
)
def test_malformed_bodies_say_what_is_wrong(api, body, status):
    refused(api.post(URL, body), status)


def test_nul_and_half_characters_are_refused_where_they_are(api):
    assert list(refused(api.post(URL, {"documents": [row(1, title="a\x00b")]}))) == [
        "/documents/0/title"
    ]
    errors = refused(api.post(URL, json.dumps({"documents": [row(1, title="a\ud83d b")]}).encode()))
    assert list(errors) == ["/documents/0/title"]


def test_a_thousand_documents_are_taken_and_one_more_is_not(api):
    assert api.post(URL, {"documents": [row(n) for n in range(1000)]}).json()["created"] == 1000
    errors = refused(api.post(URL, {"documents": [row(n) for n in range(1001)]}))
    assert "1001 documents" in errors["/documents"]


def test_keys_without_the_right_scope_or_revoked_ones_are_refused(organisation, make_key):
    reader = Api(make_key(organisation, scopes=["finance:read"]))
    refused(reader.post(URL, {"documents": [row()]}), 403)
    assert reader.get(URL).status_code == 200
    other = Api(make_key(organisation, scopes=["jobs:read"]))
    refused(other.get(URL), 403)
    refused(Api(make_key(organisation, revoked_at=NOW)).get(URL), 401)
    refused(Api("rk_nobody_knows").get(URL), 401)
    anonymous = Client().get(URL)
    assert anonymous.status_code == 401


def test_another_organisation_sees_none_of_it(api, organisation_b, make_key, drain, models):
    api.post(URL, {"documents": [row()]})
    drain()
    document = api.get(URL).json()["results"][0]
    foreign = Api(make_key(organisation_b))
    assert foreign.get(URL).json()["results"] == []
    refused(foreign.get(f"{URL}/{document['id']}"), 404)
    assert foreign.get("/api/v1/finance/topics").json()["results"] == []
    assert foreign.post(URL, {"documents": [row()]}).json()["created"] == 1


def test_filters_and_pages(api, drain, models):
    rows = [
        row(n, published_at=(NOW - timedelta(minutes=n)).isoformat(), source=f"S{n % 2}")
        for n in range(1, 6)
    ]
    rows.append(
        row(9, title="Bank fraud trial", published_at=(NOW - timedelta(days=2)).isoformat())
    )
    rows.append(row(10, title="央行宣布下调存款准备金率零点五个百分点"))
    api.post(URL, {"documents": rows})
    drain()

    def ids(**params: Any) -> list[str]:
        return [item["external_id"] for item in api.get(URL, **params).json()["results"]]

    assert ids(sentiment="negative") == ["r-9"]
    assert ids(topic="credit") == ["r-9"]
    assert ids(status="unscored") == ["r-10"]
    assert ids(language="zh") == ["r-10"]
    assert ids(source="S0") == ["r-2", "r-4"]
    assert ids(q="FRAUD") == ["r-9"]
    assert ids(published_after=(NOW - timedelta(minutes=3, seconds=1)).isoformat()) == [
        "r-1", "r-2", "r-3",
    ]  # fmt: skip
    seen, url = [], f"{URL}?page_size=2"
    while url:
        page = api.get(url).json()
        seen += [item["external_id"] for item in page["results"]]
        url = page["next"]
    assert seen == ["r-1", "r-2", "r-3", "r-4", "r-5", "r-9", "r-10"]
    for params in ({"sentiment": "angry"}, {"published_after": "soon"}):
        refused(api.get(URL, **params))
    refused(api.get(URL, q="\x00"), 400)


def test_the_trend_as_json_and_as_csv(api, drain, models):
    api.post(
        URL, {"documents": [row(1), row(2, title="Gas plunges"), row(3, title="Gas talks go on")]}
    )
    drain()
    span = {"since": "2026-03-04T11:00:00Z", "until": "2026-03-04T14:00:00Z"}
    trend = api.get("/api/v1/finance/trend", topic="energy", width=3600, **span).json()
    assert [(p["positive"], p["negative"], p["neutral"]) for p in trend["points"]] == [
        (0, 0, 0), (1, 1, 1), (0, 0, 0),
    ]  # fmt: skip
    text = api.get("/api/v1/finance/trend.csv", topic="energy", width=3600, **span)
    assert text["Content-Type"] == "text/csv; charset=utf-8"
    assert len(text.content.decode().strip().splitlines()) == 4
    topics = api.get("/api/v1/finance/topics", **span).json()["results"]
    assert [(topic["topic"], topic["stories"]) for topic in topics] == [("energy", 3)]
    refused(api.get("/api/v1/finance/trend", width=7, **span))
    refused(api.get("/api/v1/finance/trend", width=5, since="2020-01-01T00:00:00Z"))
    refused(api.get("/api/v1/finance/trend", since=span["until"], until=span["since"]))


def test_alerts_are_listed_read_and_acknowledged(api, organisation, make_key):
    with organisation_scope(organisation.pk):
        alert = Alert.objects.create(
            key="energy", opened_at=NOW, last_seen_at=NOW, evidence={"series": []}
        )
    listed = api.get("/api/v1/finance/alerts", state="unresolved").json()["results"]
    assert [item["id"] for item in listed] == [str(alert.pk)]
    path = f"/api/v1/finance/alerts/{alert.pk}"
    refused(
        Api(make_key(organisation, scopes=["finance:read"])).post(f"{path}/acknowledge", {}), 403
    )
    taken = api.post(f"{path}/acknowledge", {"comment": "on it"}).json()
    assert (taken["state"], taken["comment"]) == ("acknowledged", "on it")
    assert [entry["kind"] for entry in api.get(path).json()["entries"]] == ["acknowledged"]
    with organisation_scope(organisation.pk):
        Alert.objects.update(state="resolved", resolved_at=NOW)
    refused(api.post(f"{path}/acknowledge", {}), 409)


def test_what_could_not_be_scored_can_be_queued_again(api, drain, models):
    models.deployed = set()
    api.post(URL, {"documents": [row()]})
    drain()
    models.deployed = {"finance.sentiment", "finance.topic"}
    assert api.post(f"{URL}/requeue", {}).json() == {"requeued": 1}
    drain()
    assert api.get(URL).json()["results"][0]["status"] == "scored"
