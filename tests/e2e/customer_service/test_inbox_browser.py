"""The inbox in two browsers: live, by keyboard, with notes that no visitor sees, and a warning when two write."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.customer_service.models import (
    CannedReply,
    ConversationLabel,
    Emotion,
    Macro,
    Suggestion,
)
from apps.customer_service.services.messages import (
    message_add,
    messages_read,
    reply_begin,
    reply_chunk,
    reply_finish,
)
from apps.customer_service.services.suggestions import Proposal, suggestion_write
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope
from tests.e2e.customer_service.desk_world import picture, row, source

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_new_conversation_appears_is_answered_and_two_agents_are_warned(sign_in, shop):
    ann, bob = sign_in("Ann"), sign_in("Bob")
    ann.get_by_text("No conversation yet").wait_for()
    talk = shop.asks("Li Wei", "Where is my parcel?", anger=0.8, emotion=Emotion.ANGER)
    row(ann, "Li Wei").wait_for()
    row(ann, "Li Wei").get_by_text("Angry").wait_for()

    # By keyboard alone: the next conversation, a note, an answer.
    ann.keyboard.press("j")
    ann.locator(".inbox-message[data-author=visitor]", has_text="Where is my parcel?").wait_for()
    ann.keyboard.press("n")
    ann.keyboard.type("Smells of fraud")
    ann.keyboard.press("Control+Enter")
    note = ann.locator(".inbox-message[data-author=note]", has_text="Smells of fraud")
    note.get_by_text("Only agents see this").wait_for()
    ann.locator("#inbox-talk h2").click()
    ann.keyboard.press("r")
    ann.keyboard.type("It is on its way.")
    ann.keyboard.press("Control+Enter")
    ann.locator(".inbox-message[data-author=agent]", has_text="It is on its way.").wait_for()
    assert shop.sees(talk)[-1] == "It is on its way."
    assert not any("fraud" in body for body in shop.sees(talk))

    # The other agent sees the same, and both are told that they are two.
    row(bob, "Li Wei").locator("button").click()
    bob.locator(".inbox-message[data-author=note]", has_text="Smells of fraud").wait_for()
    ann.locator(".inbox-warning", has_text="Bob is looking at this, too").wait_for()
    bob.locator(".inbox-warning", has_text="Ann").wait_for()
    bob.locator("#inbox-field").press_sequentially("Let me", delay=30)
    ann.locator(".inbox-warning", has_text="Bob is writing an answer here").wait_for()

    # What the customer reads and writes comes by itself.
    with organisation_scope(shop.organisation.pk):
        messages_read(conversation=talk, side="visitor", sequence=100)
    ann.locator(".inbox-receipt", has_text="Read").wait_for()
    shop.says(talk, "Thank you!")
    ann.locator(".inbox-message[data-author=visitor]", has_text="Thank you!").wait_for()
    bob.keyboard.press("Escape")
    bob.keyboard.press("k")
    ann.locator(".inbox-head-text h2").click()
    ann.keyboard.press("e")
    row(ann, "Li Wei").wait_for(state="detached")
    ann.get_by_role("button", name="Undo").wait_for()
    with organisation_scope(shop.organisation.pk):
        talk.refresh_from_db()
        assert talk.status == "resolved"
    assert ann.errors + bob.errors == []


def test_a_proposed_reply_canned_replies_macros_and_the_search(sign_in, shop):
    with organisation_scope(shop.organisation.pk):
        CannedReply.objects.create(short="sorry", bodies={"en": "We are sorry, {customer}."})
        CannedReply.objects.create(short="hours", bodies={"en": "We answer from nine to six."})
        Macro.objects.create(
            name="Late parcel",
            steps=[{"do": "label", "label": "late"}, {"do": "priority", "priority": 2}],
        )
        ConversationLabel.objects.create(name="vip")
    talk = shop.asks("Li Wei", "Where is my parcel?")
    shop.asks("陈小明", "我的訂單什么时候到？", language="zh")
    page = sign_in("Ann", viewport={"width": 1440, "height": 900})
    row(page, "Li Wei").locator("button").click()
    with organisation_scope(shop.organisation.pk):
        question = talk.messages.filter(author="visitor").get()
        suggestion_write(
            Proposal(talk.pk, question.pk, "It takes two days. [1]", [source()], {"steps": []})
        )
    proposal = page.locator(".inbox-proposal", has_text="It takes two days.")
    proposal.locator(".inbox-source").hover()
    proposal.get_by_text("A parcel takes two days within the country.").wait_for()
    picture(page, "proposal")
    page.locator(".inbox-head-text h2").click()
    page.keyboard.press("s")
    field = page.locator("#inbox-field")
    assert field.input_value() == "It takes two days."
    field.press("End")
    field.press_sequentially(" /so")
    page.locator(".inbox-canned [aria-selected=true]", has_text="/sorry").wait_for()
    picture(page, "canned")
    field.press("Enter")
    assert field.input_value() == "It takes two days. We are sorry, Li Wei."
    field.press("Control+Enter")
    page.locator(".inbox-message[data-author=agent]", has_text="We are sorry").wait_for()
    with organisation_scope(shop.organisation.pk):
        assert Suggestion.objects.get().outcome == "edited"

    page.get_by_role("button", name="Macros").click()
    page.get_by_role("menuitem", name="Late parcel").click()
    page.locator(".inbox-customer .inbox-label", has_text="late").wait_for()
    page.get_by_role("button", name="Why?").last.click()
    trace = page.locator("#inbox-trace")
    trace.get_by_text("Sources searched").wait_for()
    trace.locator("dd", has_text="delivery_status").get_by_text("93").wait_for()
    trace.get_by_text("Angry").wait_for()
    picture(page, "trace")
    page.keyboard.press("Escape")

    page.keyboard.press("/")
    page.keyboard.type("订单")
    row(page, "Li Wei").wait_for(state="detached")
    row(page, "陈小明").wait_for()
    assert page.errors == []


def test_an_answer_of_the_assistant_grows_before_the_eyes(sign_in, shop):
    talk = shop.asks("Li Wei", "Where is my parcel?")
    page = sign_in("Ann")
    row(page, "Li Wei").locator("button").click()
    page.locator(".inbox-message[data-author=assistant]").wait_for()
    with organisation_scope(shop.organisation.pk):
        talk.status = "assistant"
        talk.save()
        asked = message_add(conversation=talk, author="visitor", body="And the second one?")
        reply = reply_begin(conversation=talk, in_reply_to=asked)
    for index, text in enumerate(("It is ", "in the van.")):
        with organisation_scope(shop.organisation.pk):
            reply_chunk(message=reply, attempt=reply.attempt, index=index, text=text)
    growing = page.locator(".inbox-message[aria-busy=true]", has_text="It is in the van.")
    growing.wait_for()
    with organisation_scope(shop.organisation.pk):
        reply_finish(message=reply, body="It is in the van. It comes at noon.", kind="composed")
    page.locator(".inbox-message[data-author=assistant]", has_text="at noon").wait_for()
    growing.wait_for(state="detached")
    assert page.errors == []


@pytest.mark.parametrize(
    ("name", "options", "language"),
    [
        ("light", {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}, "en"),
        ("dark", {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"}, "en"),
        ("zh", {"viewport": {"width": 1280, "height": 800}, "locale": "zh-CN"}, "zh"),
        ("phone", {"viewport": {"width": 360, "height": 740}, "has_touch": True}, "en"),
    ],
)
def test_the_inbox_fits_every_screen(sign_in, shop, name, options, language):
    now = timezone.now()
    late = {"sla_due_at": now - timedelta(minutes=7), "sla_missed_at": now, "priority": 3}
    soon = {"sla_due_at": now + timedelta(minutes=4), "waiting_since": now - timedelta(minutes=3)}
    chinese = shop.asks(
        "陈小明", "我的包裹在哪里？已经等了三天了！", language="zh", emotion="sadness", **soon
    )
    talk = shop.asks(
        "Li Wei", "Where is my parcel?", "This is the third time I ask. Unbelievable!",
        anger=0.8, emotion="anger", intent="delivery_status", labels=["vip", "late"], **late,
    )  # fmt: skip
    shop.asks("", "Do you open on Sunday?")
    page = sign_in("Ann", Role.MANAGER, **options)
    row(page, "Li Wei").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture(page, f"{name}-list")
    chosen = chinese if language == "zh" else talk
    with organisation_scope(shop.organisation.pk):
        message_add(conversation=chosen, author="note", body="Called the carrier: lost in Leipzig.")
    row(page, "陈小明" if language == "zh" else "Li Wei").locator("button").click()
    page.locator(".inbox-message[data-author=note]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    field = page.locator("#inbox-field").bounding_box()
    assert field and field["y"] + field["height"] <= page.viewport_size["height"]
    picture(page, f"{name}-talk")
    if name == "phone":
        page.locator(".inbox-who").click()
        page.locator(".inbox-customer h2").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        picture(page, f"{name}-customer")
        page.locator(".inbox-customer .inbox-back").click()
        page.locator(".inbox-head .inbox-back").click()
        row(page, "Li Wei").wait_for()
    assert page.errors == []
