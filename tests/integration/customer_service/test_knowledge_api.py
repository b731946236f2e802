"""REST of the knowledge: who may, what comes back, what is refused, and that nobody sees another's."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.test import Client

from apps.customer_service.models import Answer, Document, EvaluationRun, Passage, Source
from apps.customer_service.services.answers import answer_save
from apps.customer_service.services.evaluation_questions import question_save
from apps.customer_service.services.releases import release_publish
from rootstock.common.actors import SYSTEM
from rootstock.common.ids import uuid7
from rootstock.jobs.models import Job
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope
from tests.api_cases import (
    AccessCases,
    ChangeCases,
    CreateCases,
    DetailCases,
    ListCases,
    check_problem,
)

sys.path.insert(0, str(Path(__file__).parent))
import knowledge_kit as kit
from knowledge_world import world

__all__ = ["world"]
API = "/api/v1/service/knowledge"
READ, WRITE = "service:read", "service:write"


def a_source() -> Source:
    return Source.objects.create(kind="file", title="prices.md")


def a_document() -> Document:
    return Document.objects.create(
        source=a_source(), key="prices.md", title="Prices", state="failed", problem="It is damaged."
    )


def a_passage() -> Passage:
    return Passage.objects.create(document=a_document(), position=0, text="A parcel costs 4 EUR.")


def an_answer() -> Answer:
    return answer_save(
        values={"title": f"Question {uuid7().hex}?", "bodies": {"en": "Yes."}}, actor=SYSTEM
    )


class TestSources(ListCases):
    path = f"{API}/sources"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        return str(a_source().pk)


class TestSourceCreate(CreateCases):
    path = f"{API}/sources"
    permission = WRITE
    body = {"kind": "text", "title": "Returns", "text": "# Returns\n\nWithin 30 days."}
    invalid = [
        ({}, "/kind"),
        ({"kind": "file"}, "/kind"),
        ({"kind": "text", "title": "x"}, "/text"),
        ({"kind": "url"}, "/url"),
        ({"kind": "url", "url": "ftp://example.com/"}, "/url"),
        ({"kind": "url", "url": "http://169.254.169.254/latest"}, "/url"),
        ({"kind": "sitemap", "url": "https://example.com/", "page_limit": 5000}, "/page_limit"),
        ({"kind": "text", "title": "x", "text": "y", "audiences": ["Not One!"]}, "/audiences"),
    ]


class TestSource(DetailCases):
    path = f"{API}/sources/{{id}}"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        return str(a_source().pk)


class TestSourceChange(ChangeCases):
    path = f"{API}/sources/{{id}}"
    permission = WRITE
    body = {"audiences": ["members"], "expires_at": "2030-01-01T00:00:00Z"}

    def make(self, organisation: Organisation) -> str:
        return str(a_source().pk)


class TestDocuments(ListCases):
    path = f"{API}/documents"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        return str(a_document().pk)


class TestDocument(DetailCases):
    path = f"{API}/documents/{{id}}"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        return str(a_document().pk)


class TestPassages(AccessCases):
    path = f"{API}/documents/{{id}}/passages"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        return str(a_passage().document_id)


class TestPassage(ChangeCases):
    path = f"{API}/passages/{{id}}"
    permission = WRITE
    body = {"hidden": True}

    def make(self, organisation: Organisation) -> str:
        return str(a_passage().pk)


class TestAnswers(ListCases):
    path = f"{API}/answers"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        return str(an_answer().pk)


class TestAnswerCreate(CreateCases):
    path = f"{API}/answers"
    permission = WRITE
    body = {"title": "Do you deliver?", "bodies": {"en": "Yes.", "zh": "是的。"}}
    invalid = [
        ({}, "/title"),
        ({"title": "x", "bodies": {}}, "/bodies"),
        ({"title": "x", "bodies": {"fr": "Oui."}}, "/bodies"),
        ({"title": "x", "bodies": {"en": "y"}, "intent": "no spaces please"}, "/intent"),
    ]


class TestAnswerChange(ChangeCases):
    path = f"{API}/answers/{{id}}"
    permission = WRITE
    body = {"bodies": {"en": "No."}}

    def make(self, organisation: Organisation) -> str:
        return str(an_answer().pk)


class TestAsk(AccessCases):
    path = f"{API}/ask"
    permission = READ
    method = "post"
    body = {"question": "What does a parcel cost?"}


class TestQuestions(ListCases):
    path = f"{API}/questions"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        return str(question_save(values={"question": f"Question {uuid7().hex}?"}).pk)


class TestQuestionCreate(CreateCases):
    path = f"{API}/questions"
    permission = WRITE
    body = {"question": "What does a parcel cost?", "document_keys": ["prices.md"]}
    invalid = [
        ({}, "/question"),
        ({"question": "x", "unanswerable": True, "intents": ["y"]}, "/unanswerable"),
    ]


class TestEvaluations(ListCases):
    path = f"{API}/evaluations"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        return str(EvaluationRun.objects.create(state="done", passed=True).pk)


class TestEvaluation(DetailCases):
    path = f"{API}/evaluations/{{id}}"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        return str(EvaluationRun.objects.create(state="done", passed=True).pk)


class TestDraft(AccessCases):
    path = f"{API}/draft"
    permission = READ


class TestReleases(ListCases):
    path = f"{API}/releases"
    permission = READ

    def make(self, organisation: Organisation) -> str:
        an_answer()
        return str(release_publish(actor=SYSTEM).pk)


@pytest.fixture
def client(world: None, organisation: Any, make_key: Callable[..., str]) -> Client:
    """With a key of the organisation that may see and change the service."""
    key = make_key(organisation, scopes=[READ, WRITE, "jobs:read"])
    return Client(headers={"Authorization": f"Bearer {key}"})


def post(client: Client, path: str, body: Any = None) -> Any:
    return client.post(
        f"{API}{path}",
        "" if body is None else json.dumps(body),
        content_type="application/json",
    )


def upload(client: Client, path: str, name: str, data: bytes, **fields: Any) -> Any:
    file = io.BytesIO(data)
    file.name = name
    return client.post(f"{API}{path}", {"file": file, **fields})


def test_from_a_file_to_visitors_and_back(organisation: Any, client: Client) -> None:
    table = b"# Cost\n\n| Parcel | EUR |\n|---|---|\n| Small | 4 |\n"
    text = b"# Returns\n\nYou may return goods within 30 days.\n\n" + table
    sent = upload(client, "/documents", "returns.md", text, audiences="public,members")
    assert sent.status_code == 201, sent.content
    document = sent.json()
    assert (document["state"], document["version"]) == ("waiting", 1)
    source = client.get(f"{API}/sources/{document['source']}").json()
    assert (source["state"], source["audiences"]) == ("reading", ["members", "public"])
    kit.work(organisation)
    document = client.get(f"{API}/documents/{document['id']}").json()
    assert (document["state"], document["language"]) == ("ready", "en")
    passages = client.get(f"{API}/documents/{document['id']}/passages").json()["results"]
    assert [each["position"] for each in passages] == list(range(len(passages)))
    assert {"prose", "table"} <= {each["kind"] for each in passages}
    assert passages[0]["headings"] == ["Returns"]

    asked = post(client, "/ask", {"question": "Within how many days may I return goods?"}).json()
    best = asked["results"][0]
    assert best["passage"]["id"] == passages[0]["id"]
    assert best["said"] and best["rank_words"] == 1 and best["bm25"] > 0 and best["words"]
    assert "30 days" in asked["reply"]["body"]
    live = post(client, "/ask", {"question": "May I return goods?", "draft": False}).json()
    assert live["results"] == []

    draft = client.get(f"{API}/draft").json()
    assert [(each["verb"], each["title"]) for each in draft["changes"]] == [
        ("added", f"{document['title']} v1")
    ]
    released = post(client, "/releases", {"comment": "first"})
    assert released.status_code == 201, released.content
    assert check_problem(post(client, "/releases", {}), 409)["type"].endswith("nothing-to-publish")
    live = post(client, "/ask", {"question": "May I return goods?", "draft": False}).json()
    assert live["results"]

    second = upload(client, "/documents", "returns.md", b"# Returns\n\nWithin 60 days.\n").json()
    assert (second["source"], second["version"]) == (document["source"], 2)
    kit.work(organisation)
    assert post(client, "/releases", {}).json()["number"] == 2
    back = post(client, "/releases/1/roll-back", {})
    assert back.status_code == 201
    assert {each["verb"] for each in back.json()["changes"]} == {"added", "removed"}
    assert check_problem(post(client, "/releases/99/roll-back", {}), 404)


def test_what_is_not_read_says_why_and_is_tried_again(organisation: Any, client: Client) -> None:
    problem = check_problem(upload(client, "/documents", "film.mp4", b"x"), 422)
    assert problem["errors"][0]["pointer"] == "/file"
    broken = upload(client, "/documents", "broken.docx", b"PK\x03\x04 broken").json()
    kit.work(organisation)
    document = client.get(f"{API}/documents/{broken['id']}").json()
    assert document["state"] == "failed" and "damaged" in document["reason"]
    assert client.get(f"{API}/documents?state=failed").json()["results"][0]["id"] == broken["id"]
    job = post(client, f"/documents/{broken['id']}/retry")
    assert (job.status_code, job.json()["state"]) == (202, "queued")
    check_problem(post(client, f"/documents/{broken['id']}/retry"), 409)
    assert client.delete(f"{API}/sources/{broken['source']}").status_code == 204
    assert client.get(f"{API}/sources").json()["results"] == []
    restored = post(client, f"/sources/{broken['source']}/restore").json()
    assert restored["removed_at"] is None


def test_a_passage_is_taken_out_at_once(organisation: Any, client: Client) -> None:
    upload(client, "/documents", "shelf.md", b"# Staff\n\nGoods are on shelf seven.\n")
    kit.work(organisation)
    [row] = post(client, "/ask", {"question": "Which shelf?"}).json()["results"]
    changed = client.patch(
        f"{API}/passages/{row['passage']['id']}",
        json.dumps({"hidden": True}),
        content_type="application/json",
    )
    assert changed.json()["hidden"] is True
    assert post(client, "/ask", {"question": "Which shelf?"}).json()["results"] == []


def test_answers_come_from_a_table_and_rows_that_cannot_are_named(
    organisation: Any, client: Client
) -> None:
    book = openpyxl.Workbook()
    for row in (
        ["intent", "title", "answer_en", "answer_zh", "questions"],
        [
            "delivery",
            "How long does delivery take?",
            "Two days.",
            "两天。",
            "When does it come?|多久到？",
        ],
        ["no spaces!", "Wrong", "x", "", ""],
        ["", "No text", "", "", ""],
    ):
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    job = upload(client, "/answers/import", "answers.xlsx", data.getvalue())
    assert job.status_code == 202, job.content
    kit.work(organisation)
    with organisation_scope(organisation.pk):
        result = Job.objects.get(pk=job.json()["id"]).result
    assert result["created"] == 1
    assert [row for row, _reason in result["refused"]] == [3, 4]
    [answer] = client.get(f"{API}/answers?q=多久").json()["results"]
    assert answer["bodies"] == {"en": "Two days.", "zh": "两天。"}
    assert answer["origin"] == "imported"

    again = "title,answer\nHow long does delivery take?,三天。\n".encode()
    upload(client, "/answers/import", "answers.csv", again)
    kit.work(organisation)
    changed = client.get(f"{API}/answers/{answer['id']}").json()
    assert changed["bodies"] == {"en": "Two days.", "zh": "三天。"}

    check_problem(upload(client, "/answers/import", "answers.pdf", b"%PDF-"), 422)
    failed = upload(client, "/answers/import", "answers.csv", b"a,b\n1,2\n").json()["id"]
    kit.work(organisation)
    with organisation_scope(organisation.pk):
        assert "first row" in Job.objects.get(pk=failed).error


def test_a_draft_that_finds_less_is_held_until_forced(organisation: Any, client: Client) -> None:
    document = upload(client, "/documents", "prices.md", b"# Prices\n\nA parcel costs 4 EUR.\n")
    kit.work(organisation)
    file = b'{"question": "What does a parcel cost?", "document_keys": ["prices.md"]}\n{"question": 5\n'
    imported = upload(client, "/questions/file", "questions.jsonl", file).json()
    assert (imported["created"], imported["refused"][0]["line"]) == (1, 2)
    check_problem(post(client, "/releases", {}), 409)
    assert post(client, "/evaluations").status_code == 201
    check_problem(post(client, "/evaluations"), 409)
    kit.work(organisation)
    run = client.get(f"{API}/evaluations").json()["results"][0]
    assert (run["state"], run["passed"]) == ("done", True)
    assert client.get(f"{API}/draft").json()["passed"] is True
    assert post(client, "/releases", {}).json()["evaluation"] == run["id"]

    client.delete(f"{API}/sources/{document.json()['source']}")
    post(client, "/evaluations")
    kit.work(organisation)
    run = client.get(f"{API}/evaluations").json()["results"][0]
    detail = client.get(f"{API}/evaluations/{run['id']}").json()
    assert detail["passed"] is False and detail["findings"]
    assert [each["worse"] for each in detail["differences"]] == [True]
    problem = check_problem(post(client, "/releases", {}), 409)
    assert problem["type"].endswith("got-worse")
    check_problem(post(client, "/releases", {"forced": True}), 422)
    forced = post(client, "/releases", {"forced": True, "comment": "On purpose."}).json()
    assert (forced["forced"], forced["comment"]) == (True, "On purpose.")
