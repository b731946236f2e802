"""Flows in the dashboard: from a template to visitors and back, mended where they are wrong, tried beside the steps."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.customer_service.demo.flows import flows_setup
from apps.customer_service.demo.shop import server
from apps.customer_service.models import ActionCall, Flow
from rootstock.tenancy.models import Organisation, Role
from rootstock.tenancy.scope import organisation_scope

AXE = Path(__file__).resolve().parents[3] / "platform/frontend/node_modules/axe-core/axe.min.js"
SCREENSHOTS = os.environ.get("ROOTSTOCK_SCREENSHOTS", "")

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[str]:
    """The demonstration's shop, whose system answers the calls; the web process may reach it."""
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.1/32"
    monkeypatch.setenv("ROOTSTOCK_HTTP_ALLOW_PRIVATE", "127.0.0.1/32")
    shop = server(port=0, widget="http://127.0.0.1:1", secrets=tmp_path / "secrets")
    thread = threading.Thread(target=shop.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{shop.server_address[1]}"
    shop.shutdown()
    shop.server_close()
    thread.join()


@pytest.fixture
def manager(site: str, sign_in: Callable[..., Any], address: str) -> Callable[..., Any]:
    """Opens a page of whoever sets up the service."""

    def open_page(path: str, **options: Any) -> Any:
        page = sign_in("Mei", Role.MANAGER, **options)
        page.goto(address + path)
        return page

    return open_page


@pytest.fixture
def demo(organisation: Organisation, site: str, tmp_path: Path, live_db: None) -> Organisation:
    """Both flows of the demonstration, live."""
    with organisation_scope(organisation.pk):
        flows_setup(str, company=site, secrets=tmp_path / "secrets")
    return organisation


def flow_path(organisation: Organisation, name: str) -> str:
    with organisation_scope(organisation.pk):
        return f"/service/flows/{Flow.objects.get(name=name).pk}/"


def picture(page: Any, name: str) -> None:
    """For whoever wants to look at it."""
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS) / f"flow-{name}.png"))


def state(page: Any, text: str) -> None:
    """Wait until the line above the steps says so."""
    page.locator("#flow-state", has_text=text).wait_for()


def say(page: Any, text: str) -> None:
    """Write in the simulator."""
    page.locator(".flow-say input").fill(text)
    page.locator(".flow-say input").press("Enter")


def heard(page: Any, text: str) -> None:
    """Wait until the flow has said so."""
    page.locator(".flow-line-flow", has_text=text).last.wait_for()


def test_from_a_template_to_visitors_and_back(manager, organisation, site):
    page = manager("/service/flows/")
    page.get_by_text("No flow yet").wait_for()
    page.locator("button", has_text="Order status").click()
    page.locator(".flow-step").first.wait_for()
    state(page, "no faults")

    # An action without an address cannot be called: what is to be done is said.
    page.get_by_role("button", name="Save and make live").click()
    page.get_by_text("Enter the address of order_status first").wait_for()
    page.errors.clear()

    # A fault is told on top and at its field; nothing that is wrong can be saved.
    page.locator("#step-order summary").click()
    question = page.locator("#step-order [data-pointer='/steps/0/text/zh'] textarea")
    before = question.input_value()
    question.fill("")
    state(page, "1 fault")
    page.locator("#step-order .flow-fault", has_text="missing").wait_for()
    assert question.get_attribute("aria-invalid") == "true"
    assert page.locator("#flow-save").is_disabled()
    page.locator("#step-order summary").click()
    page.locator("#flow-faults .link").click()
    page.locator("#step-order textarea:focus[lang=zh-Hans]").wait_for()
    question.fill(before.replace("请问", ""))
    state(page, "changed, not saved · no faults")

    # What was not saved is there after a reload.
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.get_by_text("Your unsaved changes are here again").wait_for()
    state(page, "no faults")
    page.get_by_role("button", name="Save", exact=True).click()
    state(page, "Version 2")

    with organisation_scope(organisation.pk):
        page.goto(page.url.split("/service/")[0] + "/service/flows/actions/")
    page.get_by_text("No address yet").wait_for()
    page.get_by_role("link", name="order_status").click()
    page.get_by_label("Address").fill(f"{site}/company/order-status")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()

    # The second version goes live, then the first again.
    page.goto(page.url.split("/service/")[0] + flow_path(organisation, "Order status"))
    page.get_by_role("button", name="Save and make live").click()
    state(page, "Version 2 · live")
    page.locator(".tab", has_text="Versions").click()
    page.get_by_role("link", name="What changed").first.click()
    page.locator(".flow-diff [data-sign='+']", has_text="您的订单号是多少").wait_for()
    page.get_by_role("row").filter(has_text="Mei").nth(1).get_by_role("button").click()
    page.get_by_text("Version 1 is live. Talks that have begun go on").wait_for()
    with organisation_scope(organisation.pk):
        flow = Flow.objects.get()
        assert flow.live is not None
        assert (flow.live.number, flow.enabled) == (1, True)
    page.get_by_role("button", name="Roll back to it").wait_for(state="detached")
    assert page.errors == []


def test_tried_beside_the_steps(manager, demo):
    """Nothing is called before the tester says so; then it is, as a test."""
    page = manager(flow_path(demo, "Refund request"), viewport={"width": 1440, "height": 1000})
    state(page, "no faults")
    say(page, "I want a refund for JP20001231")
    page.get_by_text("It would call order_status with:").wait_for()
    picture(page, "would-call")
    results = page.get_by_label("Results of the call")
    results.fill('{"status": "delivered", "refundable": true, "total": "59.00 CNY"}')
    page.locator(".flow-call").get_by_role("button", name="Done").click()
    heard(page, "Why do you want to return it?")
    page.locator(".flow-buttons").get_by_role("button", name="Wrong item").click()
    heard(page, "When did you receive it?")
    page.locator("#step-received.flow-step-current").wait_for()
    say(page, "on the blue day")
    heard(page, "Please give me a day")
    say(page, "yesterday")
    heard(page, "refund of 59.00 CNY for order JP20001231")
    picture(page, "confirm")
    page.locator(".flow-buttons").get_by_role("button", name="Yes").click()
    page.locator(".flow-call").get_by_role("button", name="No answer to a change").click()
    heard(page, "I do not know whether this went through")
    page.locator(".flow-buttons").get_by_role("button", name="Talk to a person").click()
    page.get_by_text("Handed over to people: action-unknown").wait_for()
    with organisation_scope(demo.pk):
        assert not ActionCall.objects.exists()

    # In Chinese, with real calls.
    page.get_by_label("Language of the customer").select_option("zh")
    page.get_by_label("Call your system, as a test").check()
    picture(page, "real")
    say(page, "我要退款，JP20001232，坏了，上周五收到的")
    heard(page, "申请退款")
    page.locator(".flow-buttons").get_by_role("button", name="是", exact=True).click()
    heard(page, "退款编号 R-10001")
    picture(page, "chinese")
    page.get_by_role("tab", name="Graph").click()
    page.locator(".flow-node-passed").first.wait_for()
    picture(page, "graph")
    with organisation_scope(demo.pk):
        calls = list(ActionCall.objects.order_by("id"))
        assert [call.sent["test"] for call in calls] == [True, True]
    page.get_by_role("tab", name="Try it").click()
    page.get_by_role("link", name="Look at the call").last.click()
    page.get_by_text("R-10001").wait_for()
    picture(page, "call")
    assert page.errors == []


def test_edited_by_keyboard_and_undone(manager, demo):
    """A step is added, named, filled, led to and removed; an undo brings it back."""
    page = manager(flow_path(demo, "Order status"))
    state(page, "no faults")
    page.get_by_label("Kind of step").select_option("say")
    page.get_by_role("button", name="Add a step").press("Enter")
    step = page.locator("#step-say")
    step.locator("textarea[lang=en]").fill("Thanks for your patience.")
    step.locator("textarea[lang=zh-Hans]").fill("感谢您的耐心。")
    step.get_by_label("Then").select_option("which")
    state(page, "1 fault")
    step.get_by_text("No step leads here.").wait_for()
    step.get_by_label("Name of the step").fill("Thank you")
    step.get_by_label("Name of the step").press("Enter")
    page.locator("#step-thank-you").wait_for()
    page.locator("#step-look summary").click()
    page.locator("#step-look").get_by_label("Done").select_option("thank-you")
    state(page, "changed, not saved · no faults")
    page.locator("#step-thank-you").get_by_role("button", name="Remove the step").click()
    page.locator("#flow-faults", has_text="There is no step “thank-you”.").wait_for()
    page.get_by_role("button", name="Undo").click()
    state(page, "changed, not saved · no faults")
    picture(page, "edited")
    page.locator("h1").click()
    page.keyboard.press("s")
    state(page, "Version 2")
    with organisation_scope(demo.pk):
        flow = Flow.objects.get(name="Order status")
        steps = flow.versions.latest("number").definition["steps"]
        assert flow.live is not None
        assert flow.live.number == 1
    assert [step["id"] for step in steps][-1] == "thank-you"
    assert page.errors == []


def test_whoever_may_not_change_sees_it_all_the_same(sign_in, address, demo):
    page = sign_in("Ann", Role.AGENT)
    page.goto(address + flow_path(demo, "Order status"))
    state(page, "no faults")
    page.locator("#step-order summary").click()
    assert page.locator("#step-order textarea").first.is_disabled()
    assert page.locator("#flow-save").count() == 0
    page.goto(f"{address}/service/flows/actions/")
    page.get_by_role("link", name="order_status").click()
    page.get_by_text("Last calls").wait_for()
    assert page.get_by_role("button", name="Rotate").count() == 0
    assert page.errors == []


PAGES = ("", "new/", "{flow}", "{flow}start/", "{flow}versions/?show=1", "{flow}runs/")
LOOKS = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "zh": {"viewport": {"width": 1280, "height": 800}, "locale": "zh-CN"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
}


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_fits_and_is_accessible(manager, demo, address, look):
    page = manager("/service/flows/", **LOOKS[look])
    flow = flow_path(demo, "Refund request").removeprefix("/service/flows/")
    with organisation_scope(demo.pk):
        action = flows_action()
    paths = [f"/service/flows/{path.format(flow=flow)}" for path in PAGES]
    paths += [
        "/service/flows/actions/",
        "/service/flows/actions/new/",
        action,
        "/service/flows/calls/",
    ]
    wrong = []
    for number, path in enumerate(paths):
        page.goto(address + path)
        page.locator("h1").wait_for()
        if path.endswith(flow):
            page.locator("#flow-state:not([data-tone=bad])", has_text="1").wait_for()
            page.locator("#step-reason summary, #step-refund summary").first.click()
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            wrong.append(f"{path} is too wide")
        picture(page, f"{look}-{number}")
        if AXE.exists():
            page.evaluate(AXE.read_text())
            wrong += page.evaluate(
                "axe.run(document.getElementById('main'), {resultTypes: ['violations']}).then((r) =>"
                " r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html).join(' | ')))"
            )
    assert wrong + page.errors == []


def flows_action() -> str:
    from apps.customer_service.models import BusinessAction

    return f"/service/flows/actions/{BusinessAction.objects.get(name='refund_request').pk}/"
