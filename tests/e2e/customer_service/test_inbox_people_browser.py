"""The inbox with people on both ends: who types and who has read, handing on, clocks, proposals, export and erasure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from websockets.sync.client import ClientConnection, connect

from apps.customer_service.models import Conversation, Message, SlaPolicy, Visitor
from apps.customer_service.services.messages import message_add
from apps.customer_service.services.sla import sla_judge
from apps.customer_service.services.visitors import token_issue
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope
from tests.e2e.customer_service.desk_world import Shop, picture, row

ORIGIN = "https://shop.example"
# How long a frame of the socket may take on a loaded machine.
PATIENCE = 60.0

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


class Customer:
    """The customer's side of a conversation, over the socket that their widget has."""

    def __init__(self, socket: ClientConnection, conversation: Conversation) -> None:
        self.socket, self.conversation = socket, conversation

    def tell(self, **frame: Any) -> None:
        """Send a frame."""
        self.socket.send(json.dumps(frame))

    def hears(self, **wanted: Any) -> dict[str, Any]:
        """The next frame with these values; others are passed over."""
        deadline = time.monotonic() + PATIENCE
        while True:
            frame = json.loads(self.socket.recv(timeout=deadline - time.monotonic()))
            if all(frame.get(name) == value for name, value in wanted.items()):
                return dict(frame)


@pytest.fixture
def talk(shop: Shop) -> Conversation:
    """Li Wei asked and waits for a person."""
    return shop.asks("Li Wei", "Where is my parcel?")


@pytest.fixture
def customer(address: str, shop: Shop, talk: Conversation) -> Iterator[Customer]:
    """Li Wei's widget."""
    with organisation_scope(shop.organisation.pk):
        shop.channel.origins = [ORIGIN]
        shop.channel.save()
        token, _end = token_issue(channel=shop.channel, visitor=talk.visitor)
    with connect(address.replace("http", "ws") + "/ws/service/", origin=ORIGIN) as socket:
        found = Customer(socket, talk)
        found.tell(action="authenticate", token=token)
        found.hears(type="authenticated")
        stream = f"service.c.{talk.pk.hex}"
        found.tell(action="subscribe", stream=stream, last_event_id=None)
        found.hears(type="subscribed", stream=stream)
        yield found


def test_both_see_who_types_and_what_was_read(sign_in, customer, talk):
    page = sign_in("Ann")
    row(page, "Li Wei").locator("button").click()
    read = customer.hears(type="event", event="read")
    assert read["data"]["side"] == "people"

    customer.tell(action="typing", conversation=str(talk.pk))
    page.locator(".inbox-typing", has_text="The customer is writing").wait_for()
    page.locator("#inbox-field").press_sequentially("On its ", delay=20)
    assert customer.hears(type="typing")["conversation"] == str(talk.pk)
    page.locator("#inbox-field").press_sequentially("way", delay=20)
    page.keyboard.press("Control+Enter")
    said = customer.hears(type="event", event="message")
    assert (said["data"]["body"], said["data"]["agent"]) == ("On its way", "Ann")
    assert page.errors == []


def test_what_was_sent_twice_is_stored_once(sign_in, shop, talk):
    page = sign_in("Ann")
    row(page, "Li Wei").locator("button").click()
    field = page.locator("#inbox-field")
    field.fill("It comes today.")
    calls: list[str] = []

    def lose_the_answer(route: Any) -> None:
        calls.append(json.loads(route.request.post_data)["client_id"])
        if len(calls) == 1:
            # It is stored, but the line breaks before the page hears of it.
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/replies", lose_the_answer)
    page.keyboard.press("Control+Enter")
    page.get_by_text("cannot be reached").first.wait_for()
    assert field.input_value() == "It comes today."
    field.focus()
    page.keyboard.press("Control+Enter")
    page.wait_for_function("() => document.getElementById('inbox-field').value === ''")
    assert len(calls) == 2
    assert calls[0] == calls[1]
    assert shop.sees(talk).count("It comes today.") == 1


def test_it_is_handed_on_with_a_word_and_a_draft_stays_what_it_was(sign_in, shop, talk):
    ann, bob = sign_in("Ann"), sign_in("Bob")
    ann.reload()
    other = shop.asks("Mei", "May I return it?")
    row(ann, "Li Wei").locator("button").click()
    ann.locator(".inbox-head h2", has_text="Li Wei").wait_for()
    # A note that is being written is still one after looking at another conversation.
    ann.keyboard.press("n")
    ann.keyboard.type("Looks like fraud")
    row(ann, "Mei").locator("button").click()
    ann.locator(".inbox-head h2", has_text="Mei").wait_for()
    row(ann, "Li Wei").locator("button").click()
    ann.locator(".inbox-head h2", has_text="Li Wei").wait_for()
    assert ann.locator("#inbox-field").input_value() == "Looks like fraud"
    ann.locator(".inbox-composer[data-note]").wait_for()
    ann.locator("#inbox-field").press("Control+Enter")
    ann.locator(".inbox-message[data-author=note]", has_text="fraud").wait_for()

    ann.locator(".inbox-head h2").click()
    ann.keyboard.press("t")
    dialog = ann.locator("#inbox-transfer")
    choice = dialog.locator("option", has_text="Bob").get_attribute("value")
    dialog.locator("select").select_option(choice)
    dialog.locator("textarea").fill("You know the carrier")
    picture(ann, "transfer")
    dialog.get_by_role("button", name="Hand over").click()
    row(bob, "Li Wei").get_by_text("Bob").wait_for()
    row(bob, "Li Wei").locator("button").click()
    bob.locator(".inbox-message[data-author=note]", has_text="You know the carrier").wait_for()
    bob.locator(".inbox-handoff", has_text="the customer asked for a person").wait_for()
    bob.locator(".inbox-handoff", has_text="Where is my parcel?").wait_for()
    assert shop.sees(other)[0] == "May I return it?"
    assert not any("fraud" in said or "carrier" in said for said in shop.sees(talk))
    assert ann.errors + bob.errors == []


def test_the_angriest_come_first_and_a_late_answer_is_told(sign_in, shop, talk):
    shop.asks("Calm", "Hello?", anger=0.1, emotion="neutral")
    shop.asks("Furious", "Third time!!", anger=0.9, emotion="anger", language="en")
    page = sign_in("Ann")
    page.locator("#inbox-sort").select_option("anger")
    page.locator(".inbox-row").first.get_by_text("Furious").wait_for()
    page.locator("#inbox-filter-toggle").click()
    page.locator("[data-filter=emotion]").select_option("anger")
    row(page, "Calm").wait_for(state="detached")
    row(page, "Furious").wait_for()
    page.locator("#inbox-clear").click()
    row(page, "Li Wei").wait_for()

    with organisation_scope(shop.organisation.pk):
        policy, _made = SlaPolicy.objects.get_or_create()
        policy.escalation = [
            {"after_seconds": 0, "do": "notify", "role": Role.AGENT},
            {"after_seconds": 0, "do": "priority"},
        ]
        policy.save()
        Conversation.objects.filter(pk=talk.pk).update(
            sla_due_at=timezone.now() - timedelta(minutes=2)
        )
    with organisation_scope(shop.organisation.pk):
        assert sla_judge(conversation_id=talk.pk)
    page.locator(".toast", has_text="A customer was not answered in time").wait_for()
    row(page, "Li Wei").locator(".inbox-clock[data-tone=bad]", has_text="overdue").wait_for()
    picture(page, "overdue")
    assert page.errors == []


def test_help_by_key_and_a_notification_when_looking_elsewhere(sign_in, shop):
    page = sign_in("Ann")
    page.keyboard.press("?")
    page.locator("#keyboard-help", has_text="Resolve, or open again").wait_for()
    picture(page, "keys")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.locator("#keyboard-help").wait_for()
    page.keyboard.press("Escape")

    page.context.grant_permissions(["notifications"])
    page.evaluate(
        "() => { window.told = []; document.hasFocus = () => false;"
        " window.Notification = class { static permission = 'granted';"
        " static requestPermission = () => Promise.resolve('granted');"
        " constructor(title, more) { told.push([title, more.body]); } close() {} } }"
    )
    switch = page.locator("#inbox-alert")
    switch.click()
    page.wait_for_function("() => document.getElementById('inbox-alert').ariaPressed === 'true'")
    shop.asks("Li Wei", "Anybody there?")
    page.wait_for_function("() => told.length > 0")
    title, body = page.evaluate("told[0]")
    assert title == "A customer waits"
    assert body.startswith("Li Wei")
    switch.click()
    assert switch.get_attribute("aria-pressed") == "false"


def test_a_customer_takes_their_data_along_and_is_erased(sign_in, shop, talk):
    with organisation_scope(shop.organisation.pk):
        message_add(conversation=talk, author="visitor", body="My number is 4711")
    page, other = sign_in("Ann", Role.OWNER), sign_in("Bob")
    for one in (page, other):
        row(one, "Li Wei").locator("button").click()
        one.locator(".inbox-customer h2", has_text="Li Wei").wait_for()
    assert other.get_by_role("button", name="Erase").count() == 0
    with page.expect_download() as file:
        page.get_by_role("link", name="Export").click()
    kept = json.loads(file.value.path().read_text())
    assert kept["customer"]["name"] == "Li Wei"
    assert "4711" in json.dumps(kept)

    page.get_by_role("button", name="Erase").click()
    dialog = page.locator("#inbox-erase")
    button = dialog.get_by_role("button", name="Erase for good")
    dialog.locator("[name=confirm]").fill("Li")
    assert button.is_disabled()
    dialog.locator("[name=confirm]").fill("Li Wei")
    button.click()
    page.get_by_text("The customer is erased").wait_for()
    row(other, "Li Wei").wait_for(state="detached")
    other.get_by_text("Choose a conversation").wait_for()
    with organisation_scope(shop.organisation.pk):
        assert not Visitor.objects.exists()
        assert not Message.objects.exists()
    assert page.errors + other.errors == []
