"""The shell in a browser: by keyboard, in both themes and languages, on a small screen, with events."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.e2e
Open = Callable[..., Any]
PAGES = ["/", "/components/", "/empty/", "/sign-in/"]


def test_the_first_tab_skips_to_the_content(open_page: Open) -> None:
    page = open_page("/components/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_every_control_is_reached_by_keyboard_and_shows_its_focus(open_page: Open) -> None:
    page = open_page("/components/")
    wanted = page.evaluate(
        "document.querySelectorAll('a[href], button:not([disabled]), input:not([type=hidden]),"
        " select, textarea').values().filter(e => e.checkVisibility()).toArray().length"
    )
    seen = set()
    for _ in range(wanted + 20):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => {
              const e = document.activeElement;
              if (e === document.body) return null;
              e.dataset.seen ??= String(Math.random());
              const style = getComputedStyle(e);
              return [e.dataset.seen, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
                      e.outerHTML.slice(0, 80)];
            }"""
        )
        if found:
            assert found[1], f"no visible focus: {found[2]}"
            seen.add(found[0])
    assert len(seen) >= wanted


def test_the_palette_finds_a_page_and_goes_there(open_page: Open) -> None:
    page = open_page("/")
    page.keyboard.press("Control+k")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "combobox"
    options = page.locator("#palette-list [role=option]")
    everything = options.count()
    page.keyboard.type("aler")
    assert options.count() < everything
    assert options.first.inner_text().startswith("Alerts")
    chosen = page.locator("#palette input").get_attribute("aria-activedescendant")
    assert page.locator(f"#{chosen}").get_attribute("aria-selected") == "true"
    page.keyboard.press("Enter")
    page.wait_for_url("**/empty/")


def test_the_palette_says_when_nothing_fits_and_closes(open_page: Open) -> None:
    page = open_page("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("qqqq")
    assert "Nothing is called" in page.locator("#palette-list").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#palette").is_visible()


def test_two_keys_go_to_a_page_but_not_while_typing(open_page: Open) -> None:
    page = open_page("/components/")
    page.locator("#id_name").focus()
    page.keyboard.type("g o")
    assert page.url.endswith("/components/")
    page.locator("#main").focus()
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_url(re.compile(r":\d+/$"))


def test_the_question_mark_shows_the_keys(open_page: Open) -> None:
    page = open_page("/")
    page.keyboard.press("?")
    help_dialog = page.locator("#keyboard-help")
    assert help_dialog.is_visible()
    assert "Go to Live" in help_dialog.inner_text()
    page.keyboard.press("Escape")
    assert not help_dialog.is_visible()


def test_a_page_adds_its_own_keys_to_the_help(open_page: Open) -> None:
    page = open_page("/components/")
    page.keyboard.press("?")
    assert "Pause the stream" in page.locator("#keyboard-help").inner_text()


def test_the_organisation_is_switched_in_the_bar(open_page: Open) -> None:
    page = open_page("/")
    page.get_by_role("button", name="Organisation: Acme Bank. Switch").click()
    other = page.get_by_role("menuitemradio", name="North Harbour Asset Management")
    assert other.get_attribute("aria-checked") == "false"
    # The page is closed only once the form's answer is there: Chromium may hang closing one that is on its way.
    with page.expect_response("**/organisation/switch/") as answer:
        other.click()
    assert "organisation=1" in answer.value.request.post_data
    page.wait_for_load_state()


def test_a_list_is_walked_and_ticked_by_keyboard(open_page: Open) -> None:
    page = open_page("/components/")
    bar = page.locator("[data-selection=headline-list]")
    assert not bar.is_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent").startswith("Regulator")
    page.keyboard.press("x")
    assert "1 chosen" in bar.inner_text()
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.textContent").startswith("Acme Bank beats")
    page.locator("[data-select-all]").check()
    assert "5 chosen" in bar.inner_text()
    page.locator("[data-select-all]").uncheck()
    assert not bar.is_visible()


def test_a_menu_is_walked_with_the_arrow_keys_and_gives_the_focus_back(open_page: Open) -> None:
    page = open_page("/")
    button = page.locator("[popovertarget=theme-menu]")
    button.focus()
    page.keyboard.press("Enter")
    page.locator("[popovertarget=theme-menu][aria-expanded=true]").wait_for()
    page.wait_for_function("() => document.activeElement.dataset.themeChoice === 'system'")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.themeChoice") == "light"
    page.keyboard.press("Escape")
    page.locator("[popovertarget=theme-menu][aria-expanded=false]").wait_for()
    assert button.evaluate("e => e === document.activeElement")


def test_the_theme_is_kept_and_comes_from_the_server(open_page: Open) -> None:
    page = open_page("/", color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.locator("[popovertarget=theme-menu]").click()
    page.locator("#theme-menu [data-theme-choice=dark]").click()
    dark = page.evaluate(ground)
    assert dark != light
    answer = page.reload()
    assert 'data-theme="dark"' in answer.text()
    assert page.evaluate(ground) == dark


def test_the_language_is_kept_and_the_typescript_follows(open_page: Open) -> None:
    page = open_page("/", locale="en-GB")
    page.locator("[popovertarget=language-menu]").click()
    page.locator("#language-menu [value=zh-hans]").click()
    page.wait_for_function("() => document.documentElement.lang === 'zh-Hans'")
    assert "总览" in page.locator("h1").inner_text()
    page.goto(page.url.rstrip("/") + "/components/")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    page.keyboard.press("Control+k")
    page.keyboard.type("qqqq")
    assert "没有找到" in page.locator("#palette-list").inner_text()


def test_the_browser_s_language_is_the_default(open_page: Open) -> None:
    assert "总览" in open_page("/", locale="zh-CN").locator("h1").inner_text()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_nothing_scrolls_sideways_at_360_px(open_page: Open, path: str, locale: str) -> None:
    page = open_page(path, width=360, height=740, locale=locale)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_navigation_is_a_drawer_at_360_px(open_page: Open) -> None:
    page = open_page("/", width=360, height=740)
    side = page.locator("#side")
    assert not side.is_visible()
    page.locator(".bar-menu").click()
    assert side.is_visible()
    assert page.evaluate("document.activeElement.closest('#side') !== null")
    page.keyboard.press("Escape")
    page.wait_for_function(
        "() => !document.getElementById('side').checkVisibility({visibilityProperty: true})"
    )
    assert page.evaluate("document.activeElement.classList.contains('bar-menu')")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_landmarks_and_contrast(open_page: Open, path: str, scheme: str) -> None:
    """The checks of an accessibility audit that a machine can make."""
    page = open_page(path, color_scheme=scheme)
    page.wait_for_timeout(300)
    assert page.evaluate(AUDIT) == []


def test_a_role_without_rights_has_no_job_tray(open_page: Open, gallery: str) -> None:
    page = open_page("/")
    assert page.locator(".bar-jobs").is_visible()
    page.context.add_cookies([{"name": "role", "value": "viewer", "url": gallery}])
    page.reload()
    page.locator(".bar-jobs").click()
    page.locator("#job-tray .tray-row").first.wait_for()
    assert page.locator("#job-tray button").count() == 0, "a viewer cannot cancel"
    assert "Import headlines" not in page.locator("#shell-config").text_content()


def test_the_job_tray_follows_events(open_page: Open) -> None:
    page = open_page("/")
    page.locator(".bar-jobs").click()
    row = page.locator('#job-tray [data-job="1"]')
    row.wait_for()
    assert "42" in row.inner_text()
    job = {
        "id": "1",
        "title": "Fine-tune headlines-v3",
        "state": "running",
        "phase": "",
        "fraction": 0.9,
        "eta_seconds": 60,
        "message": "epoch 4 of 4",
        "error": "",
        "cancel_requested": False,
        "finished_at": None,
    }
    page.sockets.event("jobs", 1, "job.progress", job)
    row.get_by_text("epoch 4 of 4").wait_for()
    done = {**job, "state": "succeeded", "fraction": 1, "eta_seconds": None}
    page.sockets.event("jobs", 2, "job.succeeded", done)
    page.locator("#toasts").get_by_text("is done").wait_for()
    row.get_by_text("Succeeded").wait_for()


def test_a_lost_connection_is_said_calmly_and_taken_up_where_it_was(open_page: Open) -> None:
    page = open_page("/")
    page.wait_for_function("() => document.querySelector('#needs-you') !== null")
    while not any(frame["stream"] == "jobs" for frame in page.sockets.asked):
        page.wait_for_timeout(50)
    page.sockets.event("finance.alerts", 1, "alert.opened", {})
    page.wait_for_timeout(100)
    page.sockets.asked.clear()
    refused = page.sockets.handle
    # The server is away for a while: each new connection is closed at once.
    page.route_web_socket("**/ws/events/", lambda route: route.close(code=1001))
    page.sockets.routes[-1].close(code=1001)
    page.locator("#connection[data-state=reconnecting]").wait_for()
    assert page.locator("#needs-you .attention").is_visible(), "the page keeps what it shows"
    page.route_web_socket("**/ws/events/", refused)
    page.locator("#connection[data-state]").wait_for(state="hidden", timeout=60_000)
    asked = {frame["stream"]: frame["last_event_id"] for frame in page.sockets.asked}
    assert asked["finance.alerts"] == 1


def test_a_thing_is_deleted_only_after_its_name_was_typed(open_page: Open) -> None:
    page = open_page("/components/")
    page.locator("[data-dialog-open=sample-confirm]").click()
    button = page.locator("#sample-confirm .button-danger")
    assert button.is_disabled()
    page.locator("#sample-confirm-name").fill("newswire-3")
    assert button.is_enabled()


def test_the_api_documentation_works_under_the_policy(open_page: Open) -> None:
    page = open_page("/api/docs/")
    page.get_by_text("List the jobs").wait_for()
    assert page.locator("#side [aria-current]").inner_text() == "API documentation"


def test_the_error_pages_are_ours(browser: Any, gallery: str) -> None:
    page = browser.new_page()
    for path, status, words in [
        ("/nowhere/", 404, "nothing at this address"),
        ("/broken/", 500, "broke on our side"),
    ]:
        answer = page.goto(gallery + path)
        assert answer.status == status
        assert words in page.locator("h1").inner_text()
        assert page.locator("main a").first.is_visible()
    page.goto(gallery + "/sign-in/")
    page.context.clear_cookies()
    page.locator("main form button").last.evaluate("e => { e.form.noValidate = true; e.click(); }")
    page.get_by_text("This form had gone stale").first.wait_for()
    page.close()


AUDIT = r"""() => {
  const problems = [];
  const say = (what, e) => problems.push(what + ': ' + e.outerHTML.slice(0, 120));
  const name = (e) => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ')
    .map((id) => document.getElementById(id)?.textContent || '').join(' ')
    || [...(e.labels || [])].map((l) => l.textContent).join(' ') || e.textContent || e.title || '').trim();
  for (const e of document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, '
      + '[role=menu], [role=img], dialog, nav, progress'))
    if (!name(e) && !e.closest('[aria-hidden=true]')) say('no name', e);
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) problems.push('id twice: ' + id);
  for (const a of ['aria-controls', 'aria-labelledby', 'aria-describedby', 'for', 'popovertarget'])
    for (const e of document.querySelectorAll(`[${a}]`))
      for (const id of e.getAttribute(a).split(' ')) if (!document.getElementById(id)) say(a + ' leads nowhere', e);
  if (document.querySelectorAll('main').length !== 1) problems.push('not one main');
  if (document.querySelectorAll('h1').length !== 1) problems.push('not one h1');
  if (!document.documentElement.lang) problems.push('no language');
  let level = 1;
  for (const e of document.querySelectorAll('main h1, main h2, main h3, main h4')) {
    if (!e.checkVisibility()) continue;
    const now = Number(e.tagName[1]);
    if (now > level + 1) say('heading skips a level', e);
    level = now;
  }
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (let n = e; n; n = n.parentElement) {
      const c = rgba(getComputedStyle(n).backgroundColor);
      if (c[3] === 255) return c;
    }
    return rgba(getComputedStyle(document.documentElement).backgroundColor);
  };
  for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    if (e.closest('.visually-hidden, script, .skip, [disabled], svg')) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(rgba(style.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) say('contrast ' + ratio.toFixed(2), e);
  }
  return problems;
}"""
