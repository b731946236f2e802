"""REST and pages of unanswered questions and of learning."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.customer_service.models import Answer, UnansweredCluster, UnansweredQuestion
from rootstock.accounts.models import User
from rootstock.tenancy.models import Organisation, Role
from rootstock.tenancy.scope import organisation_scope
from tests.api_cases import AccessCases, ListCases, check_problem

API = "/api/v1/service"


def a_cluster(*texts: str, title: str = "Do you sell gift cards?") -> UnansweredCluster:
    cluster = UnansweredCluster.objects.create(title=title, language="en", size=len(texts) or 1)
    for text in texts or (title,):
        UnansweredQuestion.objects.create(
            cluster=cluster, text=text, language="en", reason="no-passage"
        )
    return cluster


class TestClusters(ListCases):
    path = f"{API}/unanswered"
    permission = "service:read"

    def make(self, organisation: Organisation) -> str:
        return str(a_cluster().pk)


class TestLessons(AccessCases):
    path = f"{API}/learning"
    permission = "service:write"


@pytest.fixture
def call(organisation: Organisation, make_key: Callable[..., str]) -> Callable[..., Any]:
    """Asks REST with a key that may do all of this."""
    key = make_key(organisation, ["service:read", "service:write", "models:write"])
    client = Client(headers={"Authorization": f"Bearer {key}"})

    def asked(method: str, path: str, body: Any = None) -> Any:
        return client.generic(
            method, f"{API}/{path}", json.dumps(body or {}), content_type="application/json"
        )

    return asked


@pytest.fixture
def cluster(organisation: Organisation) -> UnansweredCluster:
    with organisation_scope(organisation.pk):
        return a_cluster("Do you sell gift cards?", "Is there a gift card?")


def test_a_cluster_with_its_questions(call: Any, cluster: UnansweredCluster) -> None:
    found = call("GET", f"unanswered/{cluster.pk}").json()
    assert (found["title"], found["size"], found["proposal"]) == (cluster.title, 2, None)
    rows = call("GET", f"unanswered/{cluster.pk}/questions").json()["results"]
    assert [row["text"] for row in rows] == ["Is there a gift card?", "Do you sell gift cards?"]
    assert call("GET", "unanswered?q=gift").json()["results"]
    assert not call("GET", "unanswered?q=boat").json()["results"]
    check_problem(call("GET", "unanswered?state=nonsense"), 422)


def test_an_answer_is_made_over_rest(
    call: Any, cluster: UnansweredCluster, organisation: Organisation
) -> None:
    check_problem(call("POST", f"unanswered/{cluster.pk}/answer"), 422)
    made = call("POST", f"unanswered/{cluster.pk}/answer", {"body": "Yes.", "title": "Gift cards"})
    assert made.status_code == 201
    assert made.json()["questions"] == ["Is there a gift card?", "Do you sell gift cards?"]
    with organisation_scope(organisation.pk):
        answer = Answer.objects.get()
        assert answer.bodies == {"en": "Yes."}
        other = a_cluster("gift card for kids", title="gift card for kids")
    body = {"answer": str(answer.pk)}
    added = call("POST", f"unanswered/{other.pk}/answer", body)
    assert added.json()["answer"] == str(answer.pk)
    assert "gift card for kids" in added.json()["questions"]
    body = {"answer": str(cluster.pk)}
    check_problem(call("POST", f"unanswered/{other.pk}/answer", body), 422)


def test_ignoring_merging_and_dividing_over_rest(
    call: Any, cluster: UnansweredCluster, organisation: Organisation
) -> None:
    ignored = call("POST", f"unanswered/{cluster.pk}/ignore", {"ignored": True})
    assert ignored.json()["state"] == "ignored"
    back = call("POST", f"unanswered/{cluster.pk}/ignore", {"ignored": False})
    assert back.json()["state"] == "open"
    rows = call("GET", f"unanswered/{cluster.pk}/questions").json()["results"]
    split = call("POST", f"unanswered/{cluster.pk}/split", {"questions": [rows[0]["id"]]})
    assert split.status_code == 201
    merged = call("POST", f"unanswered/{cluster.pk}/merge", {"others": [split.json()["id"]]})
    assert merged.json()["size"] == 2
    assert call("GET", f"unanswered/{split.json()['id']}").status_code == 404


def test_another_organisation_has_none_of_it(
    cluster: UnansweredCluster, organisation_b: Organisation, make_key: Callable[..., str]
) -> None:
    key = make_key(organisation_b, ["service:read", "service:write"])
    client = Client(headers={"Authorization": f"Bearer {key}"})
    for path in ("", "/questions"):
        check_problem(client.get(f"{API}/unanswered/{cluster.pk}{path}"), 404)
    for path in ("answer", "ignore", "merge", "split"):
        address = f"{API}/unanswered/{cluster.pk}/{path}"
        check_problem(client.post(address, "{}", content_type="application/json"), 404)


def test_an_agent_may_look_and_not_decide(
    cluster: UnansweredCluster, organisation: Organisation, make_user: Callable[..., User]
) -> None:
    client = Client()
    client.force_login(make_user(organisation, Role.AGENT))
    assert client.get("/service/unanswered/").status_code == 200
    page = client.get(f"/service/unanswered/{cluster.pk}/")
    assert page.status_code == 200
    assert b"Make it an answer" not in page.content
    body = {"title": "x", "body": "y", "language": "en"}
    assert client.post(f"/service/unanswered/{cluster.pk}/", body).status_code == 403
    assert client.post(f"/service/unanswered/{cluster.pk}/ignore/").status_code == 403
    assert client.get("/service/learning/").status_code == 403


def test_the_pages_from_the_queue_to_the_answer(
    cluster: UnansweredCluster, organisation: Organisation, make_user: Callable[..., User]
) -> None:
    client = Client()
    client.force_login(make_user(organisation, Role.OWNER))
    page = client.get("/service/unanswered/").content.decode()
    assert "Do you sell gift cards?" in page
    assert "Is there a gift card?" in page
    assert client.get("/service/unanswered/list/").status_code == 200
    address = f"/service/unanswered/{cluster.pk}/"
    empty = {"title": "Gift cards", "body": "", "language": "en"}
    assert client.post(address, empty).status_code == 422
    done = client.post(address, {**empty, "body": "Yes, of 20 euros."}, follow=True)
    assert "with the next release" in done.content.decode()
    answered = client.get("/service/unanswered/?state=answered").content.decode()
    assert "in the draft" in answered
    assert "No open question" in client.get("/service/unanswered/").content.decode()
    back = client.post(f"{address}ignore/", {"ignored": "1"}, follow=True)
    assert back.status_code == 200
    assert client.post(f"{address}ignore/", {"ignored": "0"}, follow=True).status_code == 200


def test_dividing_and_merging_on_the_page(
    cluster: UnansweredCluster, organisation: Organisation, make_user: Callable[..., User]
) -> None:
    client = Client()
    client.force_login(make_user(organisation, Role.OWNER))
    with organisation_scope(organisation.pk):
        one = cluster.questions.get(text="Is there a gift card?")
    address = f"/service/unanswered/{cluster.pk}/"
    page = client.post(f"{address}split/", {"question": str(one.pk)}, follow=True)
    assert "Perhaps the same" in page.content.decode()
    with organisation_scope(organisation.pk):
        other = UnansweredCluster.objects.exclude(pk=cluster.pk).get()
    joined = client.post(f"{address}merge/", {"other": str(other.pk)}, follow=True)
    assert "They are one now." in joined.content.decode()
    refused = client.post(f"{address}merge/", {"other": "nonsense"}, follow=True)
    assert "Choose other clusters" in refused.content.decode()


def test_learning_says_what_to_do_next(
    call: Any, organisation: Organisation, make_user: Callable[..., User]
) -> None:
    with organisation_scope(organisation.pk):
        Answer.objects.create(
            intent="gift", title="Gift cards?", bodies={"en": "Yes."}, questions=["a gift card"]
        )
    [intent, emotion] = call("GET", "learning").json()["results"]
    assert (intent["step"], intent["waiting"], emotion["step"]) == ("collect", 2, "collect")
    assert call("GET", "learning/service.intent").json() == intent
    collected = call("POST", "learning/service.intent/collect").json()
    assert (collected["labelled"], collected["waiting"]) == (2, 0)
    check_problem(call("POST", "learning/service.intent/check"), 409)
    check_problem(call("POST", "learning/service.intent/train"), 422)
    check_problem(call("POST", "learning/service.emotion/train"), 409)
    assert call("POST", "learning/service.intent/nonsense").status_code == 404
    assert call("POST", "learning/nonsense/collect").status_code == 404
    client = Client()
    client.force_login(make_user(organisation, Role.OWNER))
    page = client.get("/service/learning/").content.decode()
    assert "2 rows with a label" in page
    assert client.get("/service/learning/models/").status_code == 200
    step = {"model": "service.intent", "step": "collect"}
    taken = client.post("/service/learning/step/", step, follow=True)
    assert "0 rows are new" in taken.content.decode()
    step = {"model": "service.intent", "step": "train"}
    refused = client.post("/service/learning/step/", step, follow=True)
    assert refused.status_code == 200
