"""What agents do over REST and in macros: answering, notes, views, proposals, the search."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.customer_service.models import (
    CannedReply,
    Conversation,
    Macro,
    Message,
    SavedView,
    Suggestion,
    Visitor,
)
from apps.customer_service.services import suggestions
from apps.customer_service.services.answering import Reply
from apps.customer_service.services.conversations import conversation_hand_off, conversation_open
from apps.customer_service.services.lists import canned_save, label_save, view_save
from apps.customer_service.services.macros import macro_run, macro_save
from apps.customer_service.services.messages import message_add
from rootstock.accounts.models import User
from rootstock.common.problems import Problem
from rootstock.realtime.models import Event

INBOX = "/api/v1/service/inbox"


class Api:
    """JSON calls of a signed-in person, or of a key."""

    def __init__(self, client: Client, headers: dict[str, str] | None = None) -> None:
        self.client = client
        self.headers = headers or {}

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        return self.client.generic(
            method,
            path,
            raw,
            content_type="application/json",
            headers=self.headers,
            query_params=query or None,
        )


@pytest.fixture
def api(agent: Any, scope: Any) -> Api:
    """Ann's browser."""
    client = Client()
    client.force_login(
        User.objects.get(pk=agent.user_id), "django.contrib.auth.backends.ModelBackend"
    )
    return Api(client)


@pytest.fixture
def waiting(conversation: Conversation) -> Conversation:
    """Somebody asked and waits for a person."""
    message_add(conversation=conversation, author="visitor", body="Where is my parcel 4711?")
    return conversation_hand_off(conversation=conversation, reason="people-asked")


def other(channel: Any, name: str, *said: str, language: str = "en") -> Conversation:
    """Another customer who waits."""
    made = conversation_open(
        channel=channel,
        visitor=Visitor.objects.create(name=name),
        origin="widget",
        language=language,
    )
    for text in said:
        message_add(conversation=made, author="visitor", body=text)
    return conversation_hand_off(conversation=made, reason="people-asked")


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["visitor"]["name"] for row in answer.json()["results"]]


# --- the list -----------------------------------------------------------------------------------


def test_what_was_said_is_found_in_either_script_of_chinese(api, waiting, channel):
    other(channel, "陈", "我的訂單還沒到", language="zh")
    assert names(api("GET", INBOX, q="订单")) == ["陈"]
    assert names(api("GET", INBOX, q="訂單")) == ["陈"]
    assert names(api("GET", INBOX, q="parcel")) == ["Li Wei"]
    assert names(api("GET", INBOX, q="li w")) == ["Li Wei"]
    assert names(api("GET", INBOX, q="elephant")) == []


def test_the_list_is_filtered_sorted_and_counted(api, waiting, channel):
    angry = other(channel, "Angry", "This is a scandal")
    Conversation.objects.filter(pk=angry.pk).update(anger=0.9, emotion="anger", priority=3)
    assert names(api("GET", INBOX)) == ["Li Wei", "Angry"]
    assert names(api("GET", INBOX, sort="anger")) == ["Angry", "Li Wei"]
    assert names(api("GET", INBOX, sort="newest")) == ["Angry", "Li Wei"]
    assert names(api("GET", INBOX, emotion="anger")) == ["Angry"]
    assert names(api("GET", INBOX, priority=2)) == ["Angry"]
    assert names(api("GET", INBOX, assignee="me")) == []
    assert names(api("GET", INBOX, status="resolved")) == []
    assert names(api("GET", INBOX, ids=f"{angry.pk},nonsense")) == ["Angry"]
    answer = api("GET", INBOX, limit=1).json()
    assert (answer["total"], len(answer["results"])) == (2, 1)
    assert answer["counts"] == {
        "mine": 0, "waiting": 2, "open": 2, "assistant": 0, "overdue": 0,
    }  # fmt: skip


def test_a_view_keeps_filters_for_one_or_for_all(api, agent, ann, make_user, scope):
    made = api("POST", "/api/v1/service/views", {"name": "Angry", "filters": {"emotion": "anger"}})
    assert (made.status_code, made.json()["shared"]) == (201, False)
    again = api("POST", "/api/v1/service/views", {"name": "Angry", "filters": {"sort": "anger"}})
    assert SavedView.objects.get().filters == {"sort": "anger"}, "the same name is replaced"
    shared = view_save(name="All of us", filters={"priority": 2}, member=None)
    foreign = view_save(name="Theirs", filters={}, member=_member(make_user, scope))
    listed = api("GET", "/api/v1/service/views").json()["results"]
    assert {row["name"] for row in listed} == {"Angry", "All of us"}
    assert api("DELETE", f"/api/v1/service/views/{foreign.pk}").status_code == 404
    assert api("DELETE", f"/api/v1/service/views/{shared.pk}").status_code == 204
    assert again.status_code == 201
    refused = api("POST", "/api/v1/service/views", {"name": "x", "filters": {"password": "1"}})
    assert refused.json()["errors"][0]["pointer"] == "/filters"


def _member(make_user: Callable[..., Any], scope: Any) -> Any:
    return make_user(scope, "agent").memberships.get()


# --- answering ----------------------------------------------------------------------------------


def test_an_answer_makes_the_conversation_theirs_and_a_note_is_never_public(api, waiting, agent):
    path = f"{INBOX}/{waiting.pk}"
    note = api("POST", f"{path}/replies", {"body": "Looks like fraud", "note": True})
    assert (note.status_code, note.json()["author"]) == (201, "note")
    waiting.refresh_from_db()
    assert waiting.status == "waiting", "a note is no answer"
    body = {"body": "It comes today.", "client_id": "one"}
    assert api("POST", f"{path}/replies", body).status_code == 201
    assert api("POST", f"{path}/replies", body).status_code == 201
    assert Message.objects.filter(author="agent").count() == 1, "sent again, stored once"
    waiting.refresh_from_db()
    assert (waiting.status, waiting.assignee_id) == ("assigned", agent.pk)
    public = Event.objects.filter(stream=f"service.c.{waiting.pk.hex}").values_list("payload")
    assert "fraud" not in json.dumps(list(public))
    shown = api("GET", path).json()
    assert [m["author"] for m in shown["messages"]] == ["visitor", "note", "agent"]
    assert shown["messages"][2]["agent"] == "Ann"
    assert [entry["kind"] for entry in shown["entries"]] == ["opened", "handed-off", "assigned"]


@pytest.mark.parametrize(
    "body", [{"body": "  "}, {"body": "x" * 10_001}, {"body": "", "note": True}]
)
def test_an_empty_or_endless_answer_is_refused(api, waiting, body):
    refused = api("POST", f"{INBOX}/{waiting.pk}/replies", body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/body")


def test_it_is_handed_on_labelled_ranked_and_resolved(api, waiting, make_user, scope):
    path = f"{INBOX}/{waiting.pk}"
    colleague = _member(make_user, scope)
    moved = api("PUT", f"{path}/assignee", {"member": str(colleague.pk), "note": "Yours?"}).json()
    assert moved["assignee"]["id"] == str(colleague.pk)
    assert Message.objects.get(author="note").body == "Yours?"
    assert api("PUT", f"{path}/assignee", {"member": "none"}).json()["status"] == "waiting"
    assert api("PUT", f"{path}/labels", {"labels": ["vip", "vip "]}).json()["labels"] == ["vip"]
    assert api("PUT", f"{path}/priority", {"priority": 2}).json()["priority"] == 2
    assert api("PUT", f"{path}/status", {"status": "resolved"}).json()["status"] == "resolved"
    assert api("PUT", f"{path}/status", {"status": "open"}).json()["status"] != "resolved"
    viewer = _member_of(make_user, scope, "viewer")
    refused = api("PUT", f"{path}/assignee", {"member": str(viewer.pk)})
    assert refused.json()["errors"][0]["pointer"] == "/member"


def _member_of(make_user: Callable[..., Any], scope: Any, role: str) -> Any:
    return make_user(scope, role).memberships.get()


def test_a_viewer_sees_and_changes_nothing(waiting, make_user, scope):
    client = Client()
    client.force_login(make_user(scope, "viewer"), "django.contrib.auth.backends.ModelBackend")
    viewer = Api(client)
    assert viewer("GET", f"{INBOX}/{waiting.pk}").status_code == 200
    for path, body in (
        ("replies", {"body": "x"}),
        ("read", {"sequence": 1}),
        ("suggestion", None),
    ):
        assert viewer("POST", f"{INBOX}/{waiting.pk}/{path}", body).status_code == 403
    assert viewer("PUT", f"{INBOX}/{waiting.pk}/labels", {"labels": []}).status_code == 403
    customer = f"/api/v1/service/customers/{waiting.visitor_id}"
    assert viewer("GET", f"{customer}/export").status_code == 403
    assert viewer("POST", f"{customer}/erase", {"confirm": "x"}).status_code == 403


def test_a_key_answers_but_has_no_conversations_of_its_own(waiting, make_key, scope):
    key = make_key(scope, scopes=["service:read", "service:reply"])
    program = Api(Client(), {"Authorization": f"Bearer {key}"})
    sent = program("POST", f"{INBOX}/{waiting.pk}/replies", {"body": "From our system"})
    assert (sent.status_code, sent.json()["agent"]) == (201, None)
    refused = program("PUT", f"{INBOX}/{waiting.pk}/assignee", {"member": "me"})
    assert refused.json()["errors"][0]["pointer"] == "/member"
    assert program("PUT", "/api/v1/service/agents/presence", {}).status_code == 409


# --- macros, canned replies, labels ---------------------------------------------------------------


def test_a_macro_takes_its_steps_in_the_customers_words(waiting, agent, ann):
    canned_save(short="/Late", bodies={"en": "Sorry {customer}! {agent}", "zh": "抱歉"}, actor=ann)
    macro = macro_save(
        name="Late parcel",
        steps=[
            {"do": "reply", "canned": "late"},
            {"do": "note", "text": "Told {customer}"},
            {"do": "label", "label": "late"},
            {"do": "priority", "priority": 2},
            {"do": "resolve"},
        ],
        actor=ann,
    )
    macro_run(macro=macro, conversation=waiting, member=agent, actor=ann)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.labels, waiting.priority) == ("resolved", ["late"], 2)
    said = list(Message.objects.order_by("sequence").values_list("author", "body"))
    assert said[1:] == [("agent", "Sorry Li Wei! Ann"), ("note", "Told Li Wei")]


def test_a_macro_of_which_a_step_is_refused_takes_none(api, waiting, ann):
    macro = Macro.objects.create(
        name="Broken",
        steps=[{"do": "label", "label": "x"}, {"do": "reply", "canned": "gone"}],
    )
    refused = api("POST", f"{INBOX}/{waiting.pk}/macros/{macro.pk}")
    assert refused.status_code == 422
    assert "gone" in refused.json()["detail"]
    waiting.refresh_from_db()
    assert waiting.labels == []


@pytest.mark.parametrize(
    ("steps", "pointer"),
    [
        ([], "/steps"),
        ([{"do": "dance"}], "/steps/0"),
        ([{"do": "reply", "text": ""}], "/steps/0"),
        ([{"do": "resolve"}, {"do": "assign"}], "/steps/0"),
        ([{"do": "priority", "priority": 9}], "/steps/0"),
        ([{"do": "label", "label": " "}], "/steps/0"),
    ],
)
def test_a_macro_that_cannot_run_is_not_kept(scope, steps, pointer, ann):
    with pytest.raises(Problem) as refused:
        macro_save(name="M", steps=steps, actor=ann)
    assert refused.value.errors[0]["pointer"] == pointer


def test_lists_have_each_name_once_and_conversations_follow_a_new_one(api, waiting, ann):
    label = label_save(name="vip", colour="#112233", actor=ann)
    api("PUT", f"{INBOX}/{waiting.pk}/labels", {"labels": ["vip"]})
    with pytest.raises(Problem):
        label_save(name="vip", colour="#000000", actor=ann)
    label_save(name="important", colour="#112233", actor=ann, label=label)
    waiting.refresh_from_db()
    assert waiting.labels == ["important"]
    with pytest.raises(Problem):
        canned_save(short="two words", bodies={"en": "x"}, actor=ann)
    with pytest.raises(Problem):
        canned_save(short="empty", bodies={"en": " "}, actor=ann)
    assert not CannedReply.objects.exists()


# --- proposed replies -----------------------------------------------------------------------------

CITED = [{"number": 1, "title": "Delivery", "url": None, "page": 2, "heading": None, "quote": "…"}]


@pytest.fixture
def proposed(waiting: Conversation, monkeypatch: pytest.MonkeyPatch) -> Suggestion:
    """What the assistant would say."""
    reply = Reply(kind="composed", body="It takes two days. [1]", citations=CITED)
    monkeypatch.setattr(suggestions, "answer", lambda _organisation, _question: reply)
    proposal = suggestions.suggestion_prepare(
        organisation_id=waiting.organisation_id, conversation_id=waiting.pk
    )
    assert proposal is not None
    made = suggestions.suggestion_write(proposal)
    assert made is not None
    return made


def test_a_proposal_sent_as_it_is_brings_its_sources(api, waiting, proposed):
    path = f"{INBOX}/{waiting.pk}"
    assert api("GET", path).json()["suggestion"]["citations"] == CITED
    sent = api(
        "POST", f"{path}/replies", {"body": proposed.body, "suggestion": str(proposed.pk)}
    ).json()
    assert sent["citations"][0]["title"] == "Delivery"
    proposed.refresh_from_db()
    assert proposed.outcome == "accepted"
    assert Message.objects.get(author="agent").suggestion == proposed
    assert api("GET", path).json()["suggestion"] is None


def test_a_changed_proposal_is_kept_beside_what_was_sent(api, waiting, proposed):
    body = {"body": "It takes three days.", "suggestion": str(proposed.pk)}
    sent = api("POST", f"{INBOX}/{waiting.pk}/replies", body).json()
    assert sent["citations"] == []
    proposed.refresh_from_db()
    assert (proposed.outcome, proposed.sent_body) == ("edited", "It takes three days.")


def test_a_dismissed_proposal_goes_and_is_remembered(api, waiting, proposed):
    assert api("POST", f"/api/v1/service/suggestions/{proposed.pk}/dismiss").status_code == 204
    proposed.refresh_from_db()
    assert proposed.outcome == "dismissed"
    assert api("GET", f"{INBOX}/{waiting.pk}").json()["suggestion"] is None


def test_nothing_is_proposed_where_nobody_waits_or_the_assistant_knows_nothing(
    waiting, agent, monkeypatch
):
    def ask() -> Any:
        return suggestions.suggestion_prepare(
            organisation_id=waiting.organisation_id, conversation_id=waiting.pk
        )

    monkeypatch.setattr(suggestions, "answer", lambda *_: Reply(kind="none", body="Sorry"))
    assert ask() is None
    message_add(conversation=waiting, author="agent", body="Hello", member=agent)
    monkeypatch.setattr(suggestions, "answer", lambda *_: Reply(kind="composed", body="x"))
    assert ask() is None


def test_a_message_to_people_asks_for_one_proposal_however_many_come(waiting):
    from rootstock.outbox.models import OutboxMessage

    message_add(conversation=waiting, author="visitor", body="Hello?")
    message_add(conversation=waiting, author="visitor", body="Anybody?")
    assert OutboxMessage.objects.filter(topic=suggestions.TOPIC).count() == 1
