"""Labels by keyboard in a browser: in the queue blind, on the document's page, and taken back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apps.finance_sentiment.models import Document, DocumentLabel, Mention
from apps.finance_sentiment.services.loop.candidates import candidates_draw
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from test_live_page import page, processes, wire  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
NOW = datetime.now(UTC)


@pytest.fixture
def documents(organisation: Any, page: Any) -> list[Document]:  # noqa: F811
    """Two scored documents, drawn at random."""
    with organisation_scope(organisation.pk):
        made = [
            Document.objects.create(
                external_id=str(number), source="Wire", title=f"Harbour Trust settles {number}",
                language_detected="en", published_at=NOW, received_at=NOW, scored_at=NOW,
                status="scored", sentiment="negative", sentiment_probabilities={"negative": 0.9},
            )
            for number in range(2)
        ]  # fmt: skip
        for document in made:
            Mention.objects.create(
                document=document, surface="Harbour Trust", folded="harbour trust", start=0, end=13,
                sentiment="negative", probability=0.8, published_at=NOW,
            )  # fmt: skip
        candidates_draw(count=20)
    return made


def given(organisation: Any) -> set[tuple[str, tuple[str, ...], bool]]:
    with organisation_scope(organisation.pk):
        labels = DocumentLabel.objects.filter(withdrawn_at=None)
        return {(each.question, tuple(each.values), each.blind) for each in labels}


def test_the_queue_is_worked_off_by_keys(
    page: Any,  # noqa: F811
    organisation: Any,
    documents: list[Document],
) -> None:
    page.goto(page.url.split("/public-opinion/")[0] + "/public-opinion/labels/")
    panel = page.locator("#relabel")
    panel.get_by_text("shown after your answer").first.wait_for()
    page.keyboard.press("3")
    panel.locator("#relabel-sentiment [data-value=positive][aria-pressed=true]").wait_for()
    panel.locator("#relabel-sentiment-said", has_text="says Negative (90").wait_for()
    page.keyboard.press("e")
    panel.locator("#relabel-mentions-said").get_by_text("shown after your answer").wait_for()
    page.keyboard.press("1")
    panel.locator("#relabel-mentions-said", has_text="Negative (80").wait_for()
    page.keyboard.press("t")
    panel.locator("[data-topic]").first.wait_for()
    page.keyboard.press("a")
    panel.locator("[data-topic][aria-pressed=true]").wait_for()
    page.keyboard.press("Enter")
    panel.locator("[data-topic]").first.wait_for(state="detached")
    kinds = {(question, blind) for question, _values, blind in given(organisation)}
    assert kinds == {("sentiment", True), ("entity", True), ("topic", True)}
    page.keyboard.press("u")
    panel.locator("#relabel-topics").get_by_text("—").wait_for()
    page.keyboard.press("j")
    page.get_by_text("1 wait · 1 labelled today").wait_for()
    page.keyboard.press("s")
    page.get_by_text("Nothing waits for you").first.wait_for()

    page.goto(page.url.replace("labels/", f"documents/{documents[0].pk}/"))
    page.locator("#relabel-sentiment-said", has_text="Negative (90").wait_for()
    page.keyboard.press("2")
    page.locator("#relabel-sentiment [data-value=neutral][aria-pressed=true]").wait_for()
    assert ("sentiment", ("neutral",), False) in given(organisation)
