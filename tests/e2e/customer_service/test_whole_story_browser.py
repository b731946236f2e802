"""The whole story, in English and Chinese, on the real processes.

A shop of another origin, under a strict policy, has one script tag in its pages. A question is answered from a PDF, a
follow-up is understood, a refund is requested of the shop's own system, people are asked for, and an agent answers from
a console in another browser; a reload and a network that is gone for half a minute lose and double nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.customer_service.demo.channel import channel_setup
from apps.customer_service.demo.company import Company
from apps.customer_service.demo.flows import flows_setup
from apps.customer_service.demo.shop import policy, server
from apps.customer_service.models import ActionCall, Message
from rootstock.tenancy.models import Organisation, Role
from rootstock.tenancy.scope import organisation_scope
from tests.e2e.customer_service.slow_line import Line
from tests.e2e.customer_service.widget_world import (
    Widget,
    inside,
    installation,
    knowledge_publish,
    sign_in,
)
from tests.unit.customer_service.knowledge_files import paragraph, pdf

__all__ = ["inside", "installation"]

CUT_SECONDS = 30
ORDER = "JP20001231"

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class Spoken:
    """What is said in one language, and what is found on the pages in it."""

    path: str
    locale: str
    pages: tuple[list[str], ...]
    question: str
    answer: str
    follow_up: str
    second: str
    refund: str
    refund_steps: tuple[str, ...]
    done: str
    people: str
    waiting: str
    typing: str
    agent: str
    lost: str


EN = Spoken(
    path="/",
    locale="en-GB",
    pages=(
        [
            "Unworn goods can be returned within 30 days of delivery.",
            "Goods from the sale can be returned within 14 days of delivery.",
        ],
        ["Parcels to mountain huts take five working days.", "Parcels to the city take two."],
    ),
    question="How many days do I have to return unworn goods?",
    answer="Unworn goods can be returned within 30 days",
    follow_up="And goods from the sale?",
    second="within 14 days of delivery",
    refund="I want a refund",
    refund_steps=("It is damaged", "yesterday", "Yes"),
    done="Your refund number is R-10001",
    people="Talk to a person",
    waiting="Somebody will be with you soon",
    typing="is writing",
    agent="You are talking to Mei",
    lost="Connection lost",
)
ZH = Spoken(
    path="/zh/",
    locale="zh-CN",
    pages=(
        ["未使用的商品可以在收货后30天内退货。", "特价商品可以在收货后14天内退货。"],
        ["寄往山区小屋的包裹需要五个工作日。", "寄往市区的包裹需要两个工作日。"],
    ),
    question="未使用的商品多少天内可以退货？",
    answer="未使用的商品可以在收货后30天内退货",
    follow_up="那特价商品呢？",
    second="特价商品可以在收货后14天内退货",
    refund="我要退款",
    refund_steps=("商品损坏", "昨天", "是"),
    done="退款编号 R-10001",
    people="转人工",
    waiting="客服马上就来",
    typing="正在输入",
    agent="Mei正在为您服务",
    lost="连接已断开",
)


@pytest.fixture
def line(installation: str) -> Iterator[Line]:
    """What lies between the visitor and the installation; the widget's origin is its address."""
    made = Line(int(installation.rpartition(":")[2]))
    yield made
    made.close()


@dataclass
class Shop:
    """A site of somebody else, and its own system."""

    address: str
    company: Company


@pytest.fixture
def shop(line: Line, organisation: Organisation, tmp_path: Path, settings: Any) -> Iterator[Shop]:
    """Juniper & Pine, with the widget in its pages and both flows live."""
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.1/32"
    secrets = tmp_path / "secrets.json"
    site = server(port=0, widget=line.address, secrets=secrets)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    port = site.server_address[1]
    # Another name than the widget's: for the browser it is another site, which shares no storage with it.
    address = f"http://localhost:{port}"
    with organisation_scope(organisation.pk):
        channel_setup(str, origin=address)
        flows_setup(str, company=f"http://127.0.0.1:{port}", secrets=secrets)
    yield Shop(address, site.RequestHandlerClass.keywords["company"])  # type: ignore[attr-defined]
    site.shutdown()
    site.server_close()


@pytest.fixture
def mei(organisation: Organisation, make_user: Callable[..., Any]) -> Any:
    """Who answers customers."""
    user = make_user(organisation, Role.AGENT)
    user.name = "Mei"
    user.save()
    return user


def answer(console: Any, text: str) -> None:
    """What an agent writes to the customer."""
    field = console.locator("#inbox-field")
    field.fill(text)
    field.press("Control+Enter")
    console.locator(".inbox-message[data-author=agent]", has_text=text).wait_for()


@pytest.mark.parametrize("spoken", [EN, ZH], ids=["en", "zh"])
def test_the_whole_story(  # noqa: PLR0917 - fixtures
    chromium, installation, line, shop, inside, make_user, organisation, mei, spoken
):
    assert policy(line.address).startswith("default-src 'self';")
    pages = [paragraph(lines) for lines in spoken.pages]
    document = {
        "name": "returns.pdf",
        "mimeType": "application/pdf",
        "buffer": pdf(*pages, title="Returns"),
    }
    owner = inside.do(lambda: make_user(organisation))
    knowledge = sign_in(chromium, installation, owner, "/service/knowledge/", locale=spoken.locale)
    knowledge_publish(knowledge, installation, document)
    widget = Widget(chromium, shop.address + spoken.path, spoken.locale)

    # Answered from the PDF; its source opens, at its page.
    widget.ask(spoken.question)
    widget.sees(spoken.answer)
    widget.inside.locator(".cite").first.click()
    passage = widget.inside.get_by_role("dialog").last
    passage.locator("mark", has_text="30").wait_for()
    widget.picture(f"story-citation-{spoken.locale}")
    widget.page.keyboard.press("Escape")

    # A follow-up that means nothing by itself.
    widget.ask(spoken.follow_up)
    widget.sees(spoken.second)

    # A flow: asked, answered by words and buttons, confirmed, done once by the shop's own system.
    widget.ask(spoken.refund)
    widget.sees("JP20001234")
    widget.ask(ORDER)
    reason, received, yes = spoken.refund_steps
    widget.inside.get_by_role("button", name=reason).click()
    widget.inside.locator(".message.visitor:not(.waiting)", has_text=reason).wait_for()
    inside.eventually(lambda: Message.objects.filter(in_reply_to__body=reason).exists(), "no reply")
    widget.ask(received)
    widget.inside.get_by_role("button", name=yes, exact=True).click()
    widget.sees(spoken.done)
    widget.picture(f"story-flow-{spoken.locale}")
    assert shop.company.refunds == {ORDER: "R-10001"}
    calls = inside.do(lambda: list(ActionCall.objects.values_list("action__name", "state")))
    assert sorted(calls) == [("order_status", "done"), ("refund_request", "done")]

    # People: the console in another browser has it, and the reply arrives.
    console = sign_in(chromium, installation, mei, "/service/", locale=spoken.locale)
    console.wait_for_selector("#inbox-data", state="attached")
    widget.inside.get_by_role("button", name=spoken.people).first.click()
    widget.inside.get_by_text(spoken.waiting).or_(widget.inside.get_by_text("Mei")).first.wait_for()
    console.locator(".inbox-row button").first.click()
    console.locator(".inbox-message[data-author=visitor]", has_text=ORDER).wait_for()
    console.locator("#inbox-field").press_sequentially("Mei", delay=30)
    widget.inside.locator(".typing", has_text=spoken.typing).wait_for()
    answer(console, "Mei here: the money is on its way.")
    widget.sees("the money is on its way.")
    widget.inside.get_by_text(spoken.agent).first.wait_for()
    widget.picture(f"story-agent-{spoken.locale}")

    # A reload keeps all of it.
    known = [pk for pk, _body in inside.stored()]
    widget.page.reload()
    widget.open()
    widget.sees("the money is on its way.")
    assert widget.shown() == known

    # Half a minute without a network, while both sides write.
    line.cut()
    gone = time.monotonic()
    widget.ask("written in the tunnel, 1")
    widget.ask("written in the tunnel, 2")
    answer(console, "Said meanwhile, 1")
    answer(console, "Said meanwhile, 2")
    widget.inside.get_by_text(spoken.lost).wait_for()
    widget.picture(f"story-cut-{spoken.locale}")
    widget.page.wait_for_timeout(max(0.0, CUT_SECONDS - (time.monotonic() - gone)) * 1000)
    assert not widget.inside.get_by_text("Said meanwhile").count()
    line.mend()
    for text in ("Said meanwhile, 1", "Said meanwhile, 2"):
        widget.sees(text)
    widget.inside.locator(".waiting").first.wait_for(state="detached")
    widget.inside.get_by_text(spoken.lost).wait_for(state="hidden")
    # Once the late requests have all arrived, too.
    widget.ask("out of the tunnel")
    console.locator(".inbox-message[data-author=visitor]", has_text="out of the").wait_for()
    stored = inside.stored()
    said = [body for _pk, body in stored if "tunnel" in body]
    assert said == ["written in the tunnel, 1", "written in the tunnel, 2", "out of the tunnel"]
    widget.inside.locator(".message.visitor:not(.waiting)", has_text="out of the").wait_for()
    assert widget.shown() == [pk for pk, _body in stored]
    assert console.locator(".inbox-message", has_text="written in the tunnel").count() == 2
    widget.page.reload()
    widget.open()
    widget.sees("Said meanwhile, 2")
    assert widget.shown() == [pk for pk, _body in stored]
    assert widget.broken == []
