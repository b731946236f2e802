"""A newcomer in a browser: from a file of rows to a model that serves, is refused, is replaced and comes back."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from rootstock.tenancy.models import Organisation

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]
SCREENSHOTS = os.environ.get("ROOTSTOCK_SCREENSHOTS")
MODEL = "acme.headlines"
PASSWORD = "correct horse"
UNLABELLED = 6
# Generous: on a loaded machine everything takes longer.
PATIENCE_MS = 240_000


def shot(page: Any, name: str) -> None:
    """Keep a picture for people to look at when ROOTSTOCK_SCREENSHOTS names a directory."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"newcomer-{name}.png", full_page=True)


@pytest.fixture
def answers(tmp_path: Path) -> dict[str, str]:
    """Writes rows.csv, in which some rows have no label; what each text is about."""
    from modelhub_helpers import make_examples

    rows = [(example.text, example.label) for example in make_examples(240)]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows[UNLABELLED:])
        writer.writerows((text, "") for text, _label in rows[:UNLABELLED])
    return dict(rows)


def train(page: Any, **options: str) -> str:
    """Fill the form that is open, train, and wait for the version; the name of what came of it."""
    page.get_by_label("Name of the model").fill(MODEL)
    for name, value in options.items():
        field = page.locator(f"#id_{name}")
        closed = page.locator("details:not([open])").filter(has=field)
        if closed.count():
            closed.locator("summary").click()
        field.fill(value)
    shot(page, f"train-{options['epochs']}")
    page.get_by_role("button", name="Start training").click()
    result = page.locator(".page-actions, header").get_by_role("link", name=f"{MODEL} v")
    # The run ends without anybody reloading the page.
    result.wait_for(timeout=PATIENCE_MS)
    name: str = result.inner_text().strip()
    return name


def make_checks(page: Any) -> None:
    """Ask the gate and wait for its verdicts."""
    page.get_by_role("button", name="Make the checks").click()
    page.locator("#gate").get_by_text("Asked by").wait_for(timeout=PATIENCE_MS)


def ready(page: Any) -> None:
    """Wait until the page's own script listens: before it a button opens no dialog."""
    page.wait_for_function("() => window.Alpine !== undefined")


def deploy(page: Any) -> None:
    """Ask for the version to serve."""
    ready(page)
    page.get_by_role("button", name="Deploy", exact=True).first.click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_label("Deployment").input_value() == MODEL
    dialog.get_by_role("button", name="Deploy", exact=True).click()


def test_a_newcomer_makes_a_model_and_the_gate_guards_it(  # noqa: PLR0917 - fixtures
    processes: str,
    organisation: Organisation,
    make_user: Callable[..., Any],
    open_anonymous: Callable[..., Any],
    answers: dict[str, str],
    tmp_path: Path,
) -> None:
    cache.clear()
    person = make_user(organisation, email="newcomer@example.com")

    # Sign in.
    page = open_anonymous("/sign-in/")
    page.set_default_timeout(PATIENCE_MS / 4)
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{processes}/")

    # A data set from a file.
    page.get_by_role("link", name="Data sets").click()
    page.get_by_role("link", name="Make a data set").click()
    page.get_by_label("Name", exact=True).fill("Headlines")
    page.get_by_role("button", name="Make it and import texts").click()
    page.get_by_label("File", exact=True).set_input_files(tmp_path / "rows.csv")
    page.get_by_role("button", name="Import").click()
    page.get_by_text("240 examples added.").wait_for()
    shot(page, "imported")

    # The rows without a label, by keyboard: the choices are in the order of the alphabet.
    page.get_by_role("link", name="Annotate").last.click()
    page.get_by_label("Instructions").fill("Positive: good for the share price.")
    page.get_by_role("button", name="Make it and begin").click()
    shown = page.locator("#annotate-example")
    count = page.locator("#annotate-count")
    keys = {label: str(at) for at, label in enumerate(sorted(set(answers.values())), start=1)}
    for left in range(UNLABELLED, 0, -1):
        count.get_by_text(f"{left} left").wait_for()
        text = shown.inner_text().strip()
        if left == UNLABELLED:
            shot(page, "annotate")
            page.keyboard.press("s")
            page.wait_for_function("now => !document.body.innerText.includes(now)", arg=text)
            page.keyboard.press("u")
            shown.get_by_text(text, exact=True).wait_for()
        page.keyboard.press(keys[answers[text]])
    shown.get_by_text("Nothing is left for you in this queue.").wait_for()
    page.get_by_role("link", name="Agreement").click()
    page.get_by_role("heading", name="Who has said how much").wait_for()

    # Freeze.
    page.get_by_role("link", name="Data sets").first.click()
    page.get_by_role("link", name="Headlines").click()
    page.get_by_role("link", name="Freeze").click()
    page.get_by_role("button", name="Freeze").click()
    page.locator("#snapshots").get_by_text("#1").wait_for()
    shot(page, "frozen")

    # Train a good model, let it through the gate.
    page.get_by_role("link", name="Train on this").click()
    options = {"base": "acme/tiny", "batch_size": "16", "max_length": "64", "languages": "en"}
    good = train(page, epochs="6", learning_rate="0.003", **options)
    assert good == f"{MODEL} v1"
    shot(page, "run")
    page.get_by_role("link", name=good).click()
    # How fast this machine is, is not what is tried here.
    page.get_by_role("link", name=f"What {MODEL} asks for").click()
    page.get_by_label("Slowest of 95 in 100 answers").fill("60000")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The next checks of this deployment ask for this.").wait_for()
    page.get_by_role("link", name="Versions").first.click()
    page.get_by_role("link", name=good).click()
    make_checks(page)
    page.locator("#gate").get_by_text("Every check has passed.").wait_for()
    shot(page, "passed")
    deploy(page)
    page.get_by_text(f"{MODEL} now serves {good}.").wait_for(timeout=PATIENCE_MS)

    # Train a bad one with the same settings but two, and compare.
    page.get_by_role("link", name="Runs").first.click()
    page.locator("#runs th[scope=row] a").first.click()
    page.get_by_role("link", name="Train again").click()
    assert page.locator("#id_base").input_value() == "acme/tiny"
    bad = train(page, epochs="1", learning_rate="0.0000001")
    assert bad == f"{MODEL} v2"
    page.get_by_role("link", name="Runs").first.click()
    for box in page.locator("#runs input[type=checkbox]").all():
        box.check()
    page.get_by_role("button", name="Compare the chosen").click()
    page.get_by_role("heading", name="Compare").wait_for()
    settings = page.locator("#settings tr", has_text="learning_rate")
    assert "differs" in settings.inner_text()
    page.locator("#compare-quality .chart-says").wait_for()
    shot(page, "compare")

    # The gate refuses it and says why.
    page.get_by_role("link", name=bad).first.click()
    make_checks(page)
    deploy(page)
    page.get_by_text("It was not deployed").wait_for(timeout=PATIENCE_MS)
    page.locator("#gate").get_by_text("What stands in the way").wait_for()
    quality = page.locator("#gate tbody tr", has_text=f"{good}").first
    assert "failed" in quality.inner_text().lower()
    shot(page, "refused")
    for name, look in {
        "dark": {"color_scheme": "dark"},
        "narrow": {"width": 360, "height": 700},
        "zh": {"locale": "zh-CN"},
    }.items():
        cookies = page.context.cookies()
        other = open_anonymous(
            page.url.removeprefix(processes).replace("deploy/", ""), cookies=cookies, **look
        )
        if name == "narrow":
            assert other.evaluate("document.documentElement.scrollWidth") <= 360
        shot(other, f"refused-{name}")
        other.context.close()

    # A better one passes and is promoted.
    page.get_by_role("link", name="Runs").first.click()
    page.locator("#runs th[scope=row] a").last.click()
    page.get_by_role("link", name="Train again").click()
    better = train(page, epochs="8")
    page.get_by_role("link", name=better).click()
    make_checks(page)
    deploy(page)
    page.get_by_text(f"{MODEL} now serves {better}.").wait_for(timeout=PATIENCE_MS)

    # And back.
    ready(page)
    page.get_by_role("button", name=f"Roll back to {good}").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("customers complain")
    dialog.get_by_role("button", name="Roll back").click()
    page.get_by_role("link", name=f"Served by {good}").wait_for(timeout=PATIENCE_MS)

    # The history tells it all.
    rows = page.locator("#history tbody tr").all()
    told = [row.inner_text() for row in rows]
    assert len(told) == 3
    assert good in told[0] and better in told[0] and "customers complain" in told[0]
    assert better in told[1] and good in told[1]
    assert good in told[2]
    assert not any(bad in row for row in told)
    shot(page, "history")
    page.get_by_role("link", name="Versions").first.click()
    page.get_by_role("link", name=bad).click()
    page.locator("#gate").get_by_text("Not every check has passed.").wait_for()
