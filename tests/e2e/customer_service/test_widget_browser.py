"""The widget in a browser: on a site of another origin, under a strict policy, over reloads and cut lines."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.utils import timezone

from apps.customer_service.demo.shop import server
from apps.customer_service.models import Channel, Message
from apps.customer_service.services.channels import channel_update
from apps.customer_service.services.conversations import conversation_resolve
from apps.customer_service.services.messages import messages_read
from apps.customer_service.views.channel_examples import PYTHON
from rootstock.common.actors import SYSTEM
from tests.e2e.customer_service.widget_page import (
    ask,
    bubbles,
    desk,
    eventually,
    frame,
    shop,
    shot,
    visit,
)
from tests.e2e.customer_service.widget_world import ROOT, sign_in

__all__ = ["desk", "shop", "visit"]

FRONTEND = ROOT / "platform/frontend"
AXE = FRONTEND / "node_modules/axe-core/axe.min.js"
CITED = [
    {
        "number": 1,
        "title": "Returns policy",
        "url": "https://shop.example/returns.pdf",
        "page": 3,
        "heading": "Returns › How long",
        "quote": "Unworn goods can be returned within 30 days.",
    }
]
EVIL = '<img src=x onerror="alert(1)"> [x](javascript:alert(1)) <script>alert(1)</script>'
SPOKEN = {
    "en": {
        "path": "/",
        "question": "How do I return a jacket?",
        "open": "Open chat",
        "source": "Source 1: Returns policy",
        "back": "Back to the conversation",
        "lost": "Connection lost",
        "people": "Talk to a person",
        "with": "You are talking to Mei",
    },
    "zh": {
        "path": "/zh/",
        "question": "夹克怎么退货？",
        "open": "打开聊天",
        "source": "来源 1：Returns policy",
        "back": "返回对话",
        "lost": "连接已断开",
        "people": "转人工",
        "with": "Mei正在为您服务",
    },
}

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_asked_answered_cited_reloaded_and_cut_off(visit, desk, language):
    words = SPOKEN[language]
    page = visit(words["path"])
    page.get_by_role("button", name=words["open"]).click()
    inside = frame(page)
    inside.locator(".greeting").wait_for()
    shot(page, f"greeting-{language}")
    ask(page, words["question"])
    inside.locator(".message.visitor:not(.waiting)").wait_for()

    # The answer comes in pieces, and is whole in the end.
    reply = desk.begin("Within ", "30 days")
    inside.locator(".bubble").get_by_text("Within 30 days").wait_for()
    desk.finish(reply, "Within **30 days**, unworn. [1]", citations=CITED)
    inside.get_by_role("button", name=words["source"]).click()
    panel = inside.get_by_role("dialog", name="Returns policy")
    panel.get_by_role("button", name=words["back"]).wait_for()
    panel.get_by_text("Unworn goods can be returned within 30 days.").wait_for()
    assert panel.get_by_role("link").get_attribute("href") == CITED[0]["url"]
    shot(page, f"citation-{language}")
    page.keyboard.press("Escape")
    panel.wait_for(state="hidden")
    before = bubbles(page)
    shot(page, f"answer-{language}")

    # A reload keeps it all.
    page.reload()
    page.locator("#rootstock-widget .launcher").click()
    inside.locator(".bubble").get_by_text("30 days, unworn").wait_for()
    assert bubbles(page) == before

    # A cut line loses nothing and doubles nothing, in either direction.
    page.context.set_offline(True)
    ask(page, "first while away")
    ask(page, "second while away")
    inside.get_by_text(words["lost"]).wait_for()
    desk.say("An answer meanwhile")
    shot(page, f"cut-{language}")
    page.wait_for_timeout(3_000)
    page.context.set_offline(False)
    inside.locator(".bubble").get_by_text("An answer meanwhile").wait_for()
    inside.locator(".message.waiting").first.wait_for(state="detached")
    inside.get_by_text(words["lost"]).wait_for(state="hidden")
    ask(page, "and after it")
    inside.locator(".message.visitor:not(.waiting)", has_text="and after it").wait_for()
    stored = desk.said()
    assert stored.count("first while away") == stored.count("second while away") == 1
    assert stored.index("first while away") < stored.index("second while away")
    shown = bubbles(page)
    assert len(shown) == len(set(shown)) == len(stored)

    # What was written before the reload is sent after it.
    page.context.set_offline(True)
    ask(page, "written before the reload")
    inside.locator(".message.waiting").wait_for()
    page.context.set_offline(False)
    page.reload()
    page.locator("#rootstock-widget .launcher").click()
    inside.locator(".message.visitor:not(.waiting)", has_text="written before").wait_for()
    assert desk.said().count("written before the reload") == 1


def test_people_take_over_and_the_badge_counts(visit, desk):
    page = visit()
    page.get_by_role("button", name="Open chat").click()
    inside = frame(page)
    ask(page, "My parcel is broken")
    inside.locator(".message.visitor:not(.waiting)").wait_for()
    inside.get_by_role("button", name="Talk to a person").click()
    inside.get_by_text("Somebody will be with you soon").first.wait_for()
    desk.say("Hello, I am Mei. May I have the order number?")
    inside.get_by_text("You are talking to Mei").first.wait_for()
    inside.locator(".message.agent .who").wait_for()
    shot(page, "agent")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Open chat").wait_for()
    desk.say("Are you still there?")
    page.locator("#rootstock-widget .badge", has_text="1").wait_for()
    assert page.get_by_role("button", name="Open chat (1 unread)").is_visible()
    page.get_by_role("button", name="Open chat").click()
    page.locator("#rootstock-widget .badge").wait_for(state="hidden")
    desk.do(lambda: conversation_resolve(conversation=desk.conversation(), actor=SYSTEM))
    inside.get_by_text("How was it?").wait_for()
    shot(page, "rating")
    inside.get_by_role("radio", name="Very good").check(force=True)
    inside.get_by_role("button", name="Tell us").click()
    inside.get_by_text("Thank you for telling us.").wait_for()
    eventually(lambda: desk.do(lambda: desk.conversation().csat), 5)


def test_thumbs_stop_again_and_files(visit, desk, tmp_path):
    page = visit()
    page.get_by_role("button", name="Open chat").click()
    inside = frame(page)
    ask(page, "Where is my order?")
    inside.locator(".message.visitor:not(.waiting)").wait_for()
    desk.begin("It left ")
    inside.get_by_role("button", name="Stop the answer").click()
    inside.get_by_text("Stopped.").wait_for()
    inside.get_by_role("button", name="Answer again").click()
    inside.locator(".dots").first.wait_for()
    reply = desk.begin("It is ")
    desk.finish(reply, "It is on its way.", choices=[{"label": "Track it", "value": "track"}])
    inside.locator(".bubble").get_by_text("It is on its way.").wait_for()
    assert "It left" not in " ".join(bubbles(page))
    inside.get_by_role("button", name="This did not help").click()
    inside.get_by_label("What was wrong or missing?").fill("No tracking number")
    inside.get_by_role("button", name="Tell us").click()
    inside.get_by_text("Thank you, this helps us").wait_for()
    eventually(
        lambda: desk.do(lambda: Message.objects.get(pk=reply.pk).thumb_comment),
        "No tracking number",
    )
    inside.get_by_role("button", name="Track it").click()
    inside.locator(".message.visitor:not(.waiting)", has_text="Track it").wait_for()

    good, bad = tmp_path / "<img src=x>note.txt", tmp_path / "virus.exe"
    good.write_text("Order 1234")
    bad.write_bytes(b"MZ\x00\x01")
    inside.locator("input[type=file]").set_input_files([good, bad])
    inside.get_by_text("virus.exe could not be uploaded").wait_for()
    inside.get_by_role("button", name="Remove virus.exe").click()
    ask(page, "See the note")
    link = inside.locator(".message.visitor:not(.waiting) a.file")
    link.wait_for()
    assert "note.txt" in link.inner_text()


def test_the_page_around_it_talks_to_it(visit, desk):
    page = visit()
    page.evaluate(
        """() => { window.heard = [];
        for (const name of ["ready", "open", "close", "message"]) {
          Rootstock("on", name, (detail) => heard.push([name, detail && detail.body]));
        } }"""
    )
    # A button of the shop asks something at once.
    page.get_by_role("button", name="Ask about it").first.click()
    frame(page).locator(".message.visitor:not(.waiting)", has_text="Larch 2").wait_for()
    page.evaluate("Rootstock('close')")
    page.wait_for_function("heard.some(([name]) => name === 'close')")
    names = [name for name, _ in page.evaluate("heard")]
    assert names[:2] == ["ready", "open"]
    assert "message" in names
    assert page.evaluate("getComputedStyle(document.documentElement).overflow") == "visible"
    assert page.evaluate("document.cookie") == ""


def test_before_a_conversation_it_asks_what_the_channel_wants(visit, desk):
    fields = [
        {"name": "email", "kind": "email", "required": True, "label": {"en": "E-mail"}},
        {
            "name": "about",
            "kind": "choice",
            "required": False,
            "label": {"en": "About"},
            "choices": [{"en": "Order", "zh": "订单"}, {"en": "Other"}],
        },
    ]
    desk.do(
        lambda: channel_update(
            channel=Channel.objects.get(), actor=SYSTEM, pre_chat={"fields": fields}
        )
    )
    page = visit()
    page.get_by_role("button", name="Open chat").click()
    inside = frame(page)
    inside.get_by_role("button", name="Start the conversation").click()
    inside.get_by_text("Please fill this in.").wait_for()
    shot(page, "pre-chat")
    inside.get_by_label("E-mail").fill("li@example.com")
    inside.get_by_label("About").select_option("Order")
    inside.get_by_role("button", name="Start the conversation").click()
    ask(page, "Where is it?")
    inside.locator(".message.visitor:not(.waiting)").wait_for()
    visitor = desk.do(lambda: desk.conversation().visitor)
    assert (visitor.email, visitor.attributes) == ("li@example.com", {"about": "Order"})


def test_another_site_shows_nothing_and_says_why(chromium, address, shop, organisation):
    site = server(port=0, widget=address)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    page = chromium.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.goto(f"http://127.0.0.1:{site.server_address[1]}/")
    page.wait_for_timeout(1_500)
    assert page.locator("#rootstock-widget").count() == 0
    assert any("may not show this widget" in text for text in told)
    # Nor does the frame itself let that page show it.
    key = "juniper-pine"
    page.goto(f"{address}/healthz")
    answer = page.request.get(f"{address}/widget/{key}/frame")
    assert str(site.server_address[1]) not in answer.headers["content-security-policy"]
    site.shutdown()
    site.server_close()


def test_a_telephone_gives_it_the_whole_screen(visit):
    page = visit(width=360, height=640, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Open chat").click()
    frame(page).locator(".greeting").wait_for()
    page.wait_for_timeout(400)
    box = page.locator("#rootstock-widget iframe").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 360, 640)
    assert not page.locator("#rootstock-widget .launcher").is_visible()
    shot(page, "telephone")
    frame(page).get_by_role("button", name="Close chat").click()
    page.get_by_role("button", name="Open chat").wait_for()


def test_who_is_signed_in_what_was_read_and_when_people_are_there(visit, desk):
    def closed_today() -> str:
        channel = Channel.objects.get()
        channel_update(
            channel=channel,
            actor=SYSTEM,
            business_hours={"mon": [["09:00", "10:00"]]},
            holidays=[timezone.localdate()],
        )
        return channel.identity_secret

    secret = desk.do(closed_today)
    page = visit()
    signing: dict[str, Any] = {}
    exec(PYTHON, signing)  # noqa: S102 - the program that customers are shown
    token = signing["identity"](secret, "c-17", "Li Wei", "li@example.com")
    page.evaluate("(token) => Rootstock('identify', token)", token)
    page.get_by_role("button", name="Open chat").click()
    inside = frame(page)
    inside.get_by_text("people are back").first.wait_for()
    ask(page, "Is anybody there?")
    inside.locator(".message.visitor:not(.waiting)").wait_for()
    visitor = desk.do(lambda: desk.conversation().visitor)
    assert (visitor.external_id, visitor.name, visitor.verified) == ("c-17", "Li Wei", True)
    inside.get_by_role("button", name="Talk to a person").click()
    inside.get_by_text("We are away until").first.wait_for()
    desk.say(EVIL)
    # Shown as what it is: a text.
    inside.locator(".message.agent .bubble", has_text="<img src=x").wait_for()
    assert inside.locator(".message.agent img, .message.agent a[href^=javascript]").count() == 0
    ask(page, "I see.")
    inside.locator(".message.visitor:not(.waiting)", has_text="I see.").wait_for()
    last = desk.do(lambda: desk.conversation().last_sequence)
    desk.do(lambda: messages_read(conversation=desk.conversation(), side="people", sequence=last))
    inside.locator(".foot", has_text="Seen").wait_for()
    eventually(lambda: desk.do(lambda: desk.conversation().visitor_read) >= last - 1, True)
    shot(page, "closed")
    # Signed out: the next one at this computer finds nothing of it.
    page.evaluate("Rootstock('logout')")
    inside.locator(".message.visitor").first.wait_for(state="detached")
    page.reload()
    page.get_by_role("button", name="Open chat").click()
    inside.locator(".greeting").wait_for()
    assert bubbles(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(visit, desk, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `npm ci` in platform/frontend")
    page = visit(color_scheme=scheme, reduced_motion="reduce")
    launcher = page.get_by_role("button", name="Open chat")
    launcher.focus()
    page.keyboard.press("Enter")
    inside = frame(page)
    inside.locator("textarea:focus").wait_for()
    ask(page, "How do I return a jacket?")
    inside.locator(".message.visitor:not(.waiting)").wait_for()
    reply = desk.begin("Within")
    desk.finish(reply, "Within **30 days**. [1]\n\n- `one`\n- two", citations=CITED)
    inside.locator(".bubble").get_by_text("30 days").wait_for()
    shot(page, f"scheme-{scheme}")
    # What was said is told to a screen reader.
    inside.locator("[role=status]", has_text="Assistant: Within 30 days.").wait_for(
        state="attached"
    )
    source = AXE.read_text()
    content = next(one for one in page.frames if "/widget/" in one.url)
    for where in (page.main_frame, content):
        where.evaluate(source)
        found = where.evaluate("async () => (await axe.run()).violations")
        of_ours = [
            (one["id"], [node["html"][:120] for node in one["nodes"]])
            for one in found
            if where is content or "rootstock" in str(one["nodes"])
        ]
        assert of_ours == []
    # The Tab key stays in the panel; Escape leaves it, back to the button.
    for _ in range(20):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "rootstock-widget"
        assert content.evaluate("document.activeElement !== document.body")
    page.keyboard.press("Escape")
    page.wait_for_function(
        "document.getElementById('rootstock-widget').shadowRoot.activeElement?.className === 'launcher'"
    )


def test_the_dashboard_shows_it_as_it_will_be(  # noqa: PLR0917 - fixtures
    chromium, address, shop, organisation, make_user, desk
):
    user = desk.do(lambda: make_user(organisation))
    page = sign_in(chromium, address, user, "/service/widget/")
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    channel = desk.do(Channel.objects.get)
    page.goto(f"{address}/service/widget/{channel.pk}/look/")
    preview = page.frame_locator("#preview-frame")
    preview.get_by_text("Juniper & Pine").first.wait_for()
    shot(page, "preview")
    page.get_by_label("Title, English").fill("Ask the shop")
    preview.get_by_role("heading", name="Ask the shop").wait_for()
    page.get_by_label("Language").last.select_option("zh")
    preview.get_by_role("heading", name="青松小店").wait_for()
    page.get_by_label("Theme").last.select_option("dark")
    page.get_by_label("Width").select_option("360")
    preview.locator("html[data-scheme=dark]").wait_for()
    assert page.locator("#preview-frame").bounding_box()["width"] <= 360
    shot(page, "preview-360-dark-zh")
    page.goto(f"{address}/service/widget/{channel.pk}/")
    page.get_by_label("Page", exact=True).fill(f"{shop}/")
    page.get_by_role("button", name="Check the page").click()
    # This machine is no public address: the checker says so instead of reaching into the network.
    page.get_by_text("could not be looked at from here").wait_for()
    page.get_by_text("is not a public address").wait_for()
    shot(page, "check")
    assert complaints == []
