"""What a visitor may do over REST, and what nobody may."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.customer_service.models import Channel, Conversation, Document, Message, Passage, Source
from apps.customer_service.models import Visitor as VisitorRow
from apps.customer_service.services.messages import (
    message_add,
    reply_begin,
    reply_chunk,
    reply_finish,
)
from apps.customer_service.services.visitors import token_issue
from rootstock.realtime.models import Event
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope
from tests.api_cases import check_problem

pytestmark = pytest.mark.usefixtures("no_hooks")
ORIGIN = "https://shop.example"
SECRET = "s" * 40


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def shop(organisation: Organisation) -> Channel:
    """A channel on ORIGIN; the test is outside of any scope, as requests are."""
    with organisation_scope(organisation.pk):
        return Channel.objects.create(
            name="Shop", key="shop-key-0001", origins=[ORIGIN], identity_secret=SECRET
        )


class Browser:
    """A visitor of a channel."""

    def __init__(self, channel: Channel, origin: str | None = ORIGIN, ip: str = "203.0.113.7"):
        self.base = f"/widget/api/{channel.key}/"
        self.client = Client(raise_request_exception=False, REMOTE_ADDR=ip)
        self.headers = {"Origin": origin} if origin else {}
        self.session: dict[str, Any] = {}

    def begin(self, **values: Any) -> Browser:
        answer = self.post("session", {"language": "en-GB", **values})
        assert answer.status_code == 200, answer.content
        self.session = answer.json()
        self.headers = {**self.headers, "Authorization": f"Bearer {self.session['token']}"}
        return self

    def open(self, **values: Any) -> str:
        answer = self.post("conversations", values)
        assert answer.status_code == 201, answer.content
        return str(answer.json()["id"])

    def say(self, conversation: str, body: str = "Hello", client_id: str = "1", **more: Any) -> Any:
        values = {"client_id": client_id, "body": body, **more}
        return self.post(f"conversations/{conversation}/messages", values)

    def history(self, conversation: str, after: int = 0) -> Any:
        return self.get(f"conversations/{conversation}/messages?after={after}").json()

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(
            self.base + path,
            json.dumps(body or {}),
            content_type="application/json",
            headers=self.headers,
        )

    def get(self, path: str) -> Any:
        return self.client.get(self.base + path, headers=self.headers)


def signed(claims: dict[str, Any], secret: str = SECRET, alg: str = "HS256") -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    text = f"{part({'alg': alg, 'typ': 'JWT'})}.{part(claims)}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def claims(**more: Any) -> dict[str, Any]:
    return {"sub": "c-1", "name": "Li Wei", "exp": int(time.time()) + 600, **more}


# --- a talk -----------------------------------------------------------------------------------------


def test_a_visitor_asks_and_reads_the_answer(shop: Channel, organisation: Organisation) -> None:
    browser = Browser(shop).begin(page={"title": "Shoes", "url": "https://shop.example/shoes"})
    assert browser.session["visitor"] == {"name": "", "verified": False}
    assert browser.session["channel"]["hours"]["open"] is True
    assert browser.session["conversation"] is None
    talk = browser.open(page={"title": "Shoes", "url": "javascript:alert(1)"}, language="zh-CN")
    # The answer was lost and the browser asks again: no second conversation.
    assert browser.open() == talk
    first = browser.say(talk, "Where is it?", choice="track")
    assert first.status_code == 201
    assert browser.say(talk, "Where is it?").json()["id"] == first.json()["id"]
    with organisation_scope(organisation.pk):
        conversation = Conversation.objects.get(pk=talk)
        assert (conversation.language, conversation.page_url) == ("zh", "")
        question = Message.objects.get(conversation=conversation)
        assert question.choices == [{"value": "track", "label": "Where is it?"}]
        reply = reply_begin(conversation=conversation, in_reply_to=question)
        reply_chunk(message=reply, attempt=1, index=0, text="It left ")
    found = browser.history(talk)
    assert [(m["author"], m["state"], m["body"]) for m in found["messages"]] == [
        ("visitor", "done", "Where is it?"),
        ("assistant", "streaming", "It left "),
    ]
    with organisation_scope(organisation.pk):
        head = Event.objects.filter(stream=f"service.c.{conversation.pk.hex}").count()
        assert found["last_event_id"] == head
        reply_finish(message=reply, body="It left yesterday.", trace={"secret": "steps"})
        note = message_add(conversation=conversation, author="note", body="VIP")
    assert "secret" not in str(browser.history(talk))
    assert "VIP" not in str(browser.history(talk))
    path = f"conversations/{talk}/messages/{reply.pk}"
    assert browser.post(f"{path}/thumb", {"thumb": 1, "comment": "fast"}).json()["thumb"] == 1
    check_problem(browser.post(f"conversations/{talk}/messages/{note.pk}/thumb", {"thumb": 1}), 404)
    assert browser.post(f"{path}/stop").json()["state"] == "done"
    again = browser.post(f"{path}/regenerate").json()
    assert (again["state"], again["in_reply_to"]) == ("streaming", str(question.pk))
    stopped = browser.post(f"conversations/{talk}/messages/{again['id']}/stop").json()
    assert stopped["state"] == "stopped"
    assert browser.post(f"conversations/{talk}/read", {"sequence": 2}).status_code == 204
    assert browser.post(f"conversations/{talk}/people").json()["status"] == "waiting"
    check_problem(browser.post(f"{path}/regenerate"), 409)
    assert browser.post(f"conversations/{talk}/csat", {"score": 5}).json()["csat"] == 5
    # A reload: the same visitor, the same conversation.
    later = Browser(shop).begin(visitor=browser.session["token"])
    assert later.session["conversation"]["id"] == talk
    assert later.history(talk, after=1)["messages"][0]["body"] == "It left yesterday."


def test_a_citation_opens_the_passage_in_its_surroundings(
    shop: Channel, organisation: Organisation
) -> None:
    browser = Browser(shop).begin()
    talk = browser.open()
    browser.say(talk)
    with organisation_scope(organisation.pk):
        document = Document.objects.create(
            source=Source.objects.create(kind="file", title="Terms"), key="terms.pdf", title="Terms"
        )
        passages = [
            Passage.objects.create(document=document, position=n, text=text, headings=["Returns"])
            for n, text in enumerate(["Before.", "Thirty days.", "After.", "Far."])
        ]
        cited = {"number": 1, "passage": str(passages[1].pk), "title": "Terms", "quote": "Thirty"}
        reply = message_add(
            conversation=Conversation.objects.get(pk=talk),
            author="assistant",
            body="Thirty days [1].",
            citations=[cited],
        )
    shown = browser.get(f"citations/{reply.pk}/1").json()
    assert (shown["before"], shown["text"], shown["after"]) == ("Before.", "Thirty days.", "After.")
    check_problem(browser.get(f"citations/{reply.pk}/2"), 404)
    check_problem(Browser(shop).begin().get(f"citations/{reply.pk}/1"), 404)
    with organisation_scope(organisation.pk):
        document.delete()
    assert browser.get(f"citations/{reply.pk}/1").json()["text"] == "Thirty"


def test_pre_chat_answers_are_checked_and_kept(shop: Channel, organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        shop.pre_chat = {
            "fields": [
                {"name": "email", "kind": "email", "required": True, "label": {"en": "E-mail"}},
                {"name": "topic", "kind": "choice", "choices": [{"en": "Order", "zh": "订单"}]},
            ]
        }
        shop.save()
    browser = Browser(shop).begin()
    problem = check_problem(
        browser.post("conversations", {"pre_chat": {"email": "x", "topic": "Else"}}), 422
    )
    pointers = [error["pointer"] for error in problem["errors"]]
    assert pointers == ["/pre_chat/email", "/pre_chat/topic"]
    check_problem(browser.post("conversations", {}), 422)
    browser.open(pre_chat={"email": "li@example.com", "topic": "订单", "admin": "yes"})
    with organisation_scope(organisation.pk):
        visitor = VisitorRow.objects.get()
        assert (visitor.email, visitor.attributes) == ("li@example.com", {"topic": "订单"})
        assert not visitor.verified


# --- who it is -------------------------------------------------------------------------------------


def test_a_signed_identity_is_believed_and_takes_its_conversation_along(
    shop: Channel, organisation: Organisation
) -> None:
    anonymous = Browser(shop).begin()
    talk = anonymous.open()
    known = Browser(shop).begin(
        visitor=anonymous.session["token"],
        identity=signed(claims(email="li@example.com", attributes={"plan": "gold"})),
    )
    assert known.session["visitor"] == {"name": "Li Wei", "verified": True}
    assert known.session["conversation"]["id"] == talk
    # The token of before names nobody any more.
    check_problem(anonymous.say(talk), 401)
    # Whoever comes back without the identity is not taken for the customer.
    stranger = Browser(shop).begin(visitor=known.session["token"])
    assert stranger.session["visitor"] == {"name": "", "verified": False}
    assert stranger.session["conversation"] is None
    # From another browser, vouched for again, they are.
    assert Browser(shop).begin(identity=signed(claims())).session["conversation"]["id"] == talk


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (lambda: signed(claims(), secret="x" * 40), "not signed"),
        (lambda: signed(claims(), alg="none"), "HS256"),
        (lambda: signed(claims()).rsplit(".", 1)[0] + ".", "not signed"),
        (lambda: signed(claims(exp=int(time.time()) - 3600)), "expired"),
        (lambda: signed(claims(exp=int(time.time()) + 90_000)), "24 hours"),
        (lambda: signed({"sub": "c-1"}), "no exp"),
        (lambda: signed(claims(sub="")), "sub"),
        (lambda: signed(claims(sub=7)), "sub"),
        (lambda: signed(claims(iat=int(time.time()) + 9000)), "iat"),
        (lambda: signed(claims(attributes={"a": {"b": 1}})), "Attributes"),
        (lambda: signed(claims(exp=True)), "exp"),
        (lambda: "nonsense", "JWT"),
        (lambda: "a.b.c", "JWT"),
    ],
)
def test_a_bad_identity_is_refused(shop: Channel, token: Callable[[], str], says: str) -> None:
    # Made here and not where the cases stand: an identity of then would have expired.
    problem = check_problem(Browser(shop).post("session", {"identity": token()}), 401)
    assert says in problem["detail"]


def test_a_channel_for_customers_turns_others_away(
    shop: Channel, organisation: Organisation
) -> None:
    with organisation_scope(organisation.pk):
        shop.identity_required = True
        shop.save()
    check_problem(Browser(shop).post("session"), 401)
    Browser(shop).begin(identity=signed(claims()))


def test_forged_and_expired_tokens_open_nothing(
    shop: Channel, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(shop).begin()
    talk = browser.open()
    good = browser.headers
    for token in (
        "",
        "x",
        browser.session["token"][:-2] + "zz",
        "a:" + browser.session["token"].split(":", 1)[1],
    ):
        browser.headers = {**good, "Authorization": f"Bearer {token}"}
        problem = check_problem(browser.say(talk), 401)
        assert problem["type"].endswith("visitor-token")
    browser.headers = good
    now = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + 24 * 3600 + 5)
    check_problem(browser.say(talk), 401)
    # It still says whose conversation it was.
    assert Browser(shop).begin(visitor=browser.session["token"]).session["conversation"]
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + 31 * 24 * 3600)
    assert not Browser(shop).begin(visitor=browser.session["token"]).session["conversation"]


# --- what nobody may -------------------------------------------------------------------------------


def test_foreign_origins_are_refused_and_own_ones_may_read(shop: Channel) -> None:
    answer = Browser(shop).post("session")
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    assert "Origin" in answer["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer
    preflight = Browser(shop).client.options(
        f"/widget/api/{shop.key}/session", headers={"Origin": ORIGIN}
    )
    assert preflight.status_code == 204
    assert "Authorization" in preflight["Access-Control-Allow-Headers"]
    for origin in (
        "https://evil.example",
        "https://shop.example.evil.example",
        "http://shop.example",
        "null",
    ):
        for refused in (
            Browser(shop, origin=origin).post("session"),
            Browser(shop).client.options(
                f"/widget/api/{shop.key}/session", headers={"Origin": origin}
            ),
        ):
            check_problem(refused, 403)
            assert "Access-Control-Allow-Origin" not in refused
    # The widget's own frame, and a program.
    assert Browser(shop, origin="http://testserver").post("session").status_code == 200
    assert Browser(shop, origin=None).post("session").status_code == 200
    # A refusal can be read by the page that is allowed.
    assert Browser(shop).post("conversations")["Access-Control-Allow-Origin"] == ORIGIN


def test_conversations_of_others_do_not_exist(
    shop: Channel, organisation: Organisation, organisation_b: Organisation
) -> None:
    browser, eve = Browser(shop).begin(), Browser(shop).begin()
    talk = browser.open()
    message = browser.say(talk).json()["id"]
    with organisation_scope(organisation_b.pk):
        other = Channel.objects.create(name="Other", key="other-key-01", origins=[ORIGIN])
    stranger = Browser(other).begin()
    for who in (eve, stranger):
        for path in (
            f"conversations/{talk}/messages",
            f"conversations/{talk}/read",
            f"conversations/{talk}/people",
            f"conversations/{talk}/csat",
            f"conversations/{talk}/attachments",
            f"conversations/{talk}/messages/{message}/stop",
        ):
            body = {"client_id": "x", "body": "x", "sequence": 1, "score": 1}
            if path.endswith("attachments"):
                answer = who.client.post(
                    who.base + path,
                    {"file": SimpleUploadedFile("a.txt", b"hi")},
                    headers=who.headers,
                )
            else:
                answer = who.post(path, body)
            check_problem(answer, 404)
        check_problem(who.get(f"conversations/{talk}/messages"), 404)
        check_problem(who.get(f"citations/{message}/1"), 404)
    # Nor can a file of theirs be sent as one's own.
    given = browser.client.post(
        f"{browser.base}conversations/{talk}/attachments",
        {"file": SimpleUploadedFile("a.txt", b"hi")},
        headers=browser.headers,
    )
    problem = check_problem(eve.say(eve.open(), attachments=[given.json()["id"]]), 422)
    assert problem["errors"][0]["pointer"] == "/attachments"
    # A token of one channel in another one, of the same organisation or not.
    with organisation_scope(organisation.pk):
        second = Channel.objects.create(name="Second", key="second-key-1", origins=[ORIGIN])
        token, _ = token_issue(channel=second, visitor=VisitorRow.objects.first())
    for given in (stranger.session["token"], token):
        browser.headers = {**browser.headers, "Authorization": f"Bearer {given}"}
        check_problem(browser.get(f"conversations/{talk}/messages"), 401)


def test_unknown_and_switched_off_channels(shop: Channel, organisation: Organisation) -> None:
    shop.key = "unknown"
    check_problem(Browser(shop).post("session"), 404)
    with organisation_scope(organisation.pk):
        Channel.objects.update(enabled=False)
        shop.key = Channel.objects.get().key
    check_problem(Browser(shop).post("session"), 403)


def test_what_is_not_valid_is_told_with_its_place(shop: Channel) -> None:
    browser = Browser(shop).begin()
    talk = browser.open()
    for body, pointer in (
        ({"client_id": "1", "body": "x" * 10_000}, "/body"),
        ({"client_id": "1", "body": "x" * 4001}, "/body"),
        ({"client_id": "1", "body": "  "}, "/body"),
        ({"client_id": "x" * 65, "body": "x"}, "/client_id"),
        ({"body": "x"}, "/client_id"),
        ({"client_id": "1", "body": "a\x00b"}, "/body"),
        (
            {"client_id": "1", "attachments": ["00000000-0000-7000-8000-000000000000"]},
            "/attachments",
        ),
    ):
        problem = check_problem(browser.post(f"conversations/{talk}/messages", body), 422)
        assert problem["errors"][0]["pointer"] == pointer, body
    assert browser.say(talk, "x" * 4000).status_code == 201
    check_problem(browser.get(f"conversations/{talk}/messages?after=-1"), 422)
    check_problem(browser.post(f"conversations/{talk}/csat", {"score": 6}), 422)
    raw = browser.client.post(
        f"{browser.base}session", "{", content_type="application/json", headers=browser.headers
    )
    check_problem(raw, 400)


def test_a_script_in_a_message_stays_text(shop: Channel) -> None:
    browser = Browser(shop).begin()
    talk = browser.open()
    evil = "<img src=x onerror=alert(1)> [x](javascript:alert(1))"
    assert browser.say(talk, evil).json()["body"] == evil
    answer = browser.get(f"conversations/{talk}/messages")
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_flood_of_one_visitor_does_not_stop_another(shop: Channel, settings: Any) -> None:
    settings.ROOTSTOCK_WIDGET_MESSAGE_LIMIT = 5
    flood, other = Browser(shop).begin(), Browser(shop).begin()
    talk, others = flood.open(), other.open()
    answers = [flood.say(talk, client_id=str(n)) for n in range(8)]
    assert [a.status_code for a in answers] == [201] * 5 + [429] * 3
    check_problem(answers[-1], 429)
    assert 1 <= int(answers[-1]["Retry-After"]) <= 61
    assert answers[-1]["Access-Control-Allow-Origin"] == ORIGIN
    assert "Retry-After" in answers[-1]["Access-Control-Expose-Headers"]
    assert other.say(others).status_code == 201
    # Reading goes on.
    assert len(flood.history(talk)["messages"]) == 5


def test_a_flood_from_one_address_does_not_stop_others(shop: Channel, settings: Any) -> None:
    settings.ROOTSTOCK_WIDGET_IP_LIMIT = 20
    answers = [Browser(shop, ip="198.51.100.1").post("session") for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 429, 429]
    flood = Browser(shop, ip="198.51.100.1")
    answers += [flood.get("conversations") for _ in range(20)]
    assert answers[-1].status_code == 429
    assert "Retry-After" in answers[-1]
    assert Browser(shop, ip="198.51.100.2").post("session").status_code == 200


def test_a_signed_in_agent_of_another_organisation_is_only_a_visitor(
    shop: Channel, organisation_b: Organisation, make_user: Any
) -> None:
    """The frame comes from the dashboard's own origin, so the dashboard's cookie comes along: it must not matter."""
    browser = Browser(shop)
    browser.client.force_login(make_user(organisation_b))
    browser.begin()
    assert browser.say(browser.open()).status_code == 201


def test_an_ended_conversation_is_shown_for_a_day(
    shop: Channel, organisation: Organisation
) -> None:
    browser = Browser(shop).begin()
    talk = browser.open()
    for hours, shown in ((23, True), (25, False)):
        with organisation_scope(organisation.pk):
            ended = timezone.now() - timedelta(hours=hours)
            Conversation.objects.filter(pk=talk).update(status="resolved", resolved_at=ended)
        again = Browser(shop).begin(visitor=browser.session["token"])
        assert bool(again.session["conversation"]) is shown
