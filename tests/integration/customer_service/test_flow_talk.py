"""A visitor goes through a flow by messages alone: REST in, the worker, the shop's system, REST out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from apps.customer_service.demo.flows import flows_setup
from apps.customer_service.demo.shop import Shop, server
from apps.customer_service.models import ActionCall, Channel, Conversation, FlowRun, Message
from rootstock.outbox import dispatch
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

ORIGIN = "https://shop.example"


@pytest.fixture
def shop(organisation: Organisation, settings: Any, tmp_path: Path) -> Iterator[Any]:
    """The demonstration's shop with its own system, and both flows live."""
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.1/32"
    cache.clear()
    site = server(port=0, widget="http://127.0.0.1:1", secrets=tmp_path / "secrets")
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{site.server_address[1]}"
    with organisation_scope(organisation.pk):
        Channel.objects.create(name="Shop", key="shop-key-0007", origins=[ORIGIN])
        flows_setup(str, company=address, secrets=tmp_path / "secrets")
    yield site
    site.shutdown()
    site.server_close()
    thread.join()
    cache.clear()


class Visitor:
    """Somebody at the widget: what they write, what they read and press."""

    def __init__(self, organisation: Organisation, language: str) -> None:
        self.organisation = organisation
        self.client = Client(headers={"Origin": ORIGIN})
        session = self._post("session", {"language": language})
        self.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {session['token']}"
        self.talk = self._post("conversations", {"language": language})["id"]
        self.sent = 0
        self.seen = 0
        self.choices: list[dict[str, Any]] = []

    def say(self, body: str, choice: str = "") -> str:
        """What is answered."""
        self.sent += 1
        content = {"client_id": str(self.sent), "body": body}
        path = f"conversations/{self.talk}/messages"
        self._post(path, content | ({"choice": choice} if choice else {}))
        self._work()
        answer = self.client.get(self._path(f"{path}?after={self.seen}")).json()
        shown = [row for row in answer["messages"] if row["author"] != "visitor"]
        self.seen = answer["messages"][-1]["sequence"]
        self.choices = shown[-1]["choices"] if shown else []
        return "\n".join(row["body"] for row in shown)

    def press(self, label: str) -> str:
        """Press a button under the last answer."""
        [value] = [choice["value"] for choice in self.choices if choice["label"] == label]
        return self.say(label, value)

    def _work(self) -> None:
        """Do what the outbox holds, as a worker would."""
        due = OutboxMessage.objects.filter(topic="service.reply")
        for _ in range(5):
            with organisation_scope(self.organisation.pk):
                keys = list(due.values_list("pk", flat=True))
            for key in keys:
                dispatch.run(key, self.organisation.pk)

    def _path(self, path: str) -> str:
        return f"/widget/api/shop-key-0007/{path}"

    def _post(self, path: str, content: Any) -> Any:
        answer = self.client.post(
            self._path(path), json.dumps(content), content_type="application/json"
        )
        assert answer.status_code in {200, 201}, answer.content
        return answer.json()

    def run(self) -> FlowRun:
        """The last flow."""
        with organisation_scope(self.organisation.pk):
            return FlowRun.objects.latest("id")

    def status(self) -> tuple[str, str]:
        """Who has the conversation, and why."""
        with organisation_scope(self.organisation.pk):
            row = Conversation.objects.get(pk=self.talk)
            return row.status, row.hand_off_reason


def test_a_refund_in_english(organisation: Organisation, shop: Any) -> None:
    ann = Visitor(organisation, "en")
    assert "order number" in ann.say("Hello, I want a refund please")
    assert "does not look like" in ann.say("the red one")
    assert "Why do you want to return it" in ann.say("it is jp20001231")
    assert "When did you receive it" in ann.press("It is damaged")
    confirmation = ann.say("last Friday")
    assert "Shall I request a refund" in confirmation
    assert [choice["label"] for choice in ann.choices] == ["Yes", "No"]
    assert "R-10001" in ann.press("Yes")
    assert ann.run().state == FlowRun.State.DONE
    with organisation_scope(organisation.pk):
        calls = ActionCall.objects.order_by("id").values_list("action__name", "state")
        assert list(calls) == [("order_status", "done"), ("refund_request", "done")]
        reply = Message.objects.filter(author="assistant").latest("sequence")
        assert reply.kind == "flow"
        [step] = [step for step in reply.trace["steps"] if step["step"] == "flow"]
        assert step["flow"] == "Refund request"


def test_an_order_in_chinese(organisation: Organisation, shop: Any) -> None:
    ming = Visitor(organisation, "zh-CN")
    assert "订单号是多少" in ming.say("你好，我的订单到哪了？")
    assert "SF Express" in ming.say("单号ＪＰ２０００１２３５")
    assert ming.status() == (Conversation.Status.ASSISTANT, "")


def test_no_means_no_and_never_mind_ends_it(organisation: Organisation, shop: Any) -> None:
    ann = Visitor(organisation, "en")
    ann.say("I want a refund for JP20001231, it is broken and came last Friday")
    assert "nothing was changed" in ann.press("No")
    ann.say("I want a refund")
    assert "stopped" in ann.say("never mind")
    assert ann.run().state == FlowRun.State.CANCELLED
    with organisation_scope(organisation.pk):
        assert not ActionCall.objects.filter(action__name="refund_request").exists()


def test_another_question_in_the_middle_and_back(organisation: Organisation, shop: Any) -> None:
    """It is answered as far as it can be, and what was asked is asked again."""
    ann = Visitor(organisation, "en")
    ann.say("where is my order")
    said = ann.say("How long is the warranty of the tents?")
    assert said.rstrip().endswith("looks like JP20001234.")
    assert "SF Express" in ann.say("JP20001235")


def test_people_at_any_time(organisation: Organisation, shop: Any) -> None:
    ann = Visitor(organisation, "en")
    ann.say("where is my order")
    assert "colleague" in ann.say("let me talk to a person")
    assert ann.status() == (Conversation.Status.WAITING, "asked-for-people")


@pytest.mark.parametrize("trouble", ["down", "nonsense"])
def test_the_shops_system_fails(
    organisation: Organisation, shop: Any, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Asked for an order: the visitor is told and has a way on. In the middle of a refund: nobody claims anything."""
    ann = Visitor(organisation, "en")
    ann.say("I want a refund for JP20001231, it is broken and came last Friday")
    if trouble == "down":
        shop.shutdown()
        shop.server_close()
    else:
        monkeypatch.setattr(
            Shop, "do_POST", lambda self: self._send(200, "text/html", b"<h1>Sorry</h1>")
        )
    said = ann.press("Yes")
    if trouble == "down":
        # Certainly not done.
        assert "could not be requested" in said
        assert ann.status() == (Conversation.Status.WAITING, "refund-refused")
    else:
        assert "do not know whether this went through" in said
        assert [choice["value"] for choice in ann.choices] == ["people", "leave"]
        ann.press("Talk to a person")
        assert ann.status() == (Conversation.Status.WAITING, "action-unknown")
    other = Visitor(organisation, "en")
    assert "could not look up order JP20001235" in other.say("where is my order JP20001235")
    other.press("Ask a colleague")
    assert other.status() == (Conversation.Status.WAITING, "order-not-found")


def test_what_the_shops_system_says_is_text(
    organisation: Organisation, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link or markup in a result is shown as it stands."""
    result = {"status": "<img src=x onerror=alert(1)> [here](javascript:alert(1))\n# big"}
    monkeypatch.setattr(
        Shop, "do_POST", lambda self: self._send(200, "text/json", json.dumps(result).encode())
    )
    said = Visitor(organisation, "en").say("where is my order JP20001235")
    assert "](" not in said
    assert "\n#" not in said
