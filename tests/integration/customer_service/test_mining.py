"""Pairs are found in dialogues, reviewed, and become prepared answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.customer_service.models import Answer, Conversation, MinedPair
from apps.customer_service.services.answers import answer_save
from apps.customer_service.services.learning.dialogue_jobs import dialogues_given
from apps.customer_service.services.learning.mining import mining_start
from apps.customer_service.services.learning.pair_review import pair_accept, pair_edit, pair_reject
from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope
from tests.api_cases import AccessCases, DetailCases, ListCases

sys.path.insert(0, str(Path(__file__).parent))
import knowledge_kit as kit
from knowledge_world import world

__all__ = ["world"]

RETURNS = "You have thirty days from delivery to send unused goods back."
RENTAL = "We rent tents to schools and clubs only, at the shop in Leeds."


def given(*dialogues: tuple[str, str, str]) -> None:
    """Dialogues of a question and an agent's answer, resolved."""
    rows = [
        {
            "id": key,
            "resolved": True,
            "turns": [{"who": "customer", "text": question}, {"who": "agent", "text": answer}],
        }
        for key, question, answer in dialogues
    ]
    assert dialogues_given(rows, zone=UTC, actor=SYSTEM).bad == 0


TALKS = (
    ("A", "How long may I return goods?", RETURNS),
    ("B", "how long may I return goods", RETURNS),
    ("C", "Do you rent out tents?", RENTAL),
)


def mined(organisation: Any) -> dict[str, Any]:
    with organisation_scope(organisation.pk):
        job = mining_start(actor=SYSTEM)
    kit.work(organisation)
    with organisation_scope(organisation.pk):
        job = Job.objects.get(pk=job.pk)
        assert (job.state, job.error) == ("succeeded", "")
        return job.result or {}


@pytest.mark.usefixtures("world")
def test_found_once_however_often_they_are_looked_for(organisation: Any) -> None:
    with organisation_scope(organisation.pk):
        given(*TALKS)
    assert mined(organisation) == {"dialogues": 3, "pairs": 3, "proposed": 2}
    assert mined(organisation)["proposed"] == 2
    with organisation_scope(organisation.pk):
        first, second = MinedPair.objects.order_by("-score")
        assert (first.support, first.reply, second.support) == (2, RETURNS, 1)
        assert (first.reasons, first.language) == (["resolved", "agent"], "en")


@pytest.mark.usefixtures("world")
def test_what_was_decided_stays_and_what_was_changed_is_kept(organisation: Any) -> None:
    with organisation_scope(organisation.pk):
        given(*TALKS)
    mined(organisation)
    with organisation_scope(organisation.pk):
        first, second = MinedPair.objects.order_by("-score")
        pair_reject(pair=second, actor=SYSTEM)
        pair_edit(pair=first, values={"reply": "Thirty days."})
        given(("D", "How long may I return goods?!", RETURNS))
    mined(organisation)
    with organisation_scope(organisation.pk):
        assert dict(MinedPair.objects.values_list("state", "reply")) == {
            "proposed": "Thirty days.", "rejected": RENTAL,
        }  # fmt: skip
        assert MinedPair.objects.get(state="proposed").support == 3
        with pytest.raises(Problem, match="decided"):
            pair_accept(pair=second, actor=SYSTEM)


@pytest.mark.usefixtures("world")
def test_a_pair_that_no_dialogue_has_any_more_goes(organisation: Any) -> None:
    with organisation_scope(organisation.pk):
        given(*TALKS)
    mined(organisation)
    with organisation_scope(organisation.pk):
        Conversation.objects.filter(external_id="A").delete()
        Conversation.objects.filter(external_id="C").update(csat=1)
    assert mined(organisation)["proposed"] == 1


def test_a_pair_becomes_a_draft_answer_or_joins_one(scope: Any) -> None:
    conversation = given(*TALKS[:1]) or Conversation.objects.get()
    values = {"score": 0.5, "conversation": conversation, "language": "en"}
    new = MinedPair.objects.create(
        question="Rent tents?", variants=["tent hire"], reply=RENTAL, digest="1", **values
    )
    made = pair_accept(pair=new, actor=SYSTEM).answer
    assert made is not None
    assert (made.origin, made.live, made.bodies) == ("mined", False, {"en": RENTAL})
    assert made.questions == ["Rent tents?", "tent hire"]
    known = answer_save(
        values={
            "title": "Returns",
            "intent": "returns",
            "bodies": {"en": "30 days", "zh": "三十天"},
        },
        actor=SYSTEM,
    )
    more = MinedPair.objects.create(
        question="send it back", reply=RETURNS, intent="returns", digest="2", **values
    )
    pair_accept(pair=more, actor=SYSTEM)
    known.refresh_from_db()
    assert (known.questions, known.bodies["en"]) == (["send it back"], "30 days")
    assert Answer.objects.count() == 2


@pytest.fixture
def pair(scope: Any) -> MinedPair:
    given(*TALKS[:1])
    return MinedPair.objects.create(
        question="Rent tents?", reply=RENTAL, score=0.5, digest="x", language="en",
        conversation=Conversation.objects.get(), reasons=["resolved", "edited"],
    )  # fmt: skip


@pytest.fixture
def browser(scope: Any, make_user: Callable[..., Any]) -> Client:
    """Signed in as an owner."""
    client = Client()
    client.force_login(make_user(scope), "django.contrib.auth.backends.ModelBackend")
    return client


def test_the_page_of_a_pair_saves_and_takes_over(browser: Client, pair: MinedPair) -> None:
    url = f"/service/learning/pairs/{pair.pk}/"
    assert RENTAL in browser.get(url).content.decode()
    empty = browser.post(url, {"question": "", "reply": "x", "do": "accept"})
    assert empty.status_code == 422
    values = {
        "question": "Rent?",
        "reply": "Only to clubs.",
        "variants": "hire\n\nlease",
        "intent": "rental",
    }
    browser.post(url, {**values, "do": "accept"})
    answer = Answer.objects.get(intent="rental")
    assert (answer.title, answer.bodies) == ("Rent?", {"en": "Only to clubs."})
    assert answer.questions == ["Rent?", "hire", "lease"]


def test_many_are_decided_on_at_once(browser: Client, pair: MinedPair) -> None:
    url = "/service/learning/pairs/"
    page = browser.get(url).content.decode()
    assert "corrected by an agent" in page
    browser.post(f"{url}decide/", {"pair": [str(pair.pk), "nonsense"], "do": "reject"})
    assert MinedPair.objects.get().state == "rejected"
    assert "You have decided on all" in browser.get(url).content.decode()


def test_nothing_yet_says_what_to_do(browser: Client) -> None:
    page = browser.get("/service/learning/pairs/").content.decode()
    assert "Import dialogues" in page and "There is no dialogue yet" in page


def test_an_agent_reads_but_does_not_decide(
    scope: Any, make_user: Callable[..., Any], pair: MinedPair
) -> None:
    client = Client()
    client.force_login(make_user(scope, Role.AGENT), "django.contrib.auth.backends.ModelBackend")
    url = f"/service/learning/pairs/{pair.pk}/"
    assert client.get(url).status_code == 200
    assert client.post(url, {"do": "reject"}).status_code == 403


def a_pair() -> str:
    given((MinedPair.objects.count().__str__(), "Rent tents?", RENTAL))
    return str(
        MinedPair.objects.create(
            question="Rent tents?", reply=RENTAL, score=0.5, language="en",
            digest=str(MinedPair.objects.count()), conversation=Conversation.objects.latest("pk"),
        ).pk
    )  # fmt: skip


class TestPairs(ListCases):
    path = "/api/v1/service/pairs"
    permission = "service:read"

    def make(self, organisation: Any) -> str:
        return a_pair()


class TestPair(DetailCases):
    path = "/api/v1/service/pairs/{id}"
    permission = "service:read"

    def make(self, organisation: Any) -> str:
        return a_pair()


class TestFind(AccessCases):
    path = "/api/v1/service/pairs/find"
    permission = "service:write"
    method = "post"

    def make(self, organisation: Any) -> str:
        given(TALKS[0])
        return ""


def test_rest_decides_on_several(browser: Client, pair: MinedPair) -> None:
    url = "/api/v1/service/pairs"
    body = json.dumps({"pairs": [str(pair.pk)], "accept": True})
    done = browser.post(f"{url}/decide", body, content_type="application/json").json()
    assert done["done"][0]["answer"] is not None
    again = browser.post(f"{url}/{pair.pk}/accept", content_type="application/json")
    assert (again.status_code, again.json()["type"].rsplit(":", 1)[-1]) == (409, "decided")
