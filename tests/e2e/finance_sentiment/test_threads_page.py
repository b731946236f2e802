"""Threads in a browser: two sources of one event are one line; a person takes one of them out."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.finance_sentiment.models import Document, Story, Thread, ThreadStory
from apps.finance_sentiment.services.threads import threads_refresh
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from test_live_page import page, processes, wire  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

TITLES = {"Wire": "Apple sues OpenAI over trade secrets", "快讯": "苹果起诉OpenAI窃取商业机密"}


@pytest.fixture
def thread(organisation: Any, page: Any) -> Thread:  # noqa: F811
    """An event that an English and a Chinese source tell of."""
    now = datetime.now(UTC) - timedelta(hours=1)
    with organisation_scope(organisation.pk):
        thread = Thread.objects.create(title="?", first_seen_at=now, last_seen_at=now)
        for number, (source, title) in enumerate(TITLES.items()):
            at = now + timedelta(minutes=number)
            story = Story.objects.create(
                title=title, first_seen_at=at, last_seen_at=at, document_count=1, signature=b""
            )
            Document.objects.create(
                external_id=source,
                source=source,
                title=title,
                published_at=at,
                received_at=at,
                status=Document.Status.UNSCORED,
                story=story,
            )
            ThreadStory.objects.create(story=story, thread=thread, first_seen_at=at)
        threads_refresh(thread_ids=[thread.pk])
    return thread


def test_a_thread_is_found_read_and_split(
    page: Any,  # noqa: F811
    thread: Thread,
    organisation: Any,
) -> None:
    page.goto(page.url.split("/public-opinion/")[0] + "/public-opinion/threads/?least_sources=2")
    page.get_by_role("link", name=TITLES["Wire"]).click()
    page.locator("#stories").get_by_text(TITLES["快讯"]).wait_for()
    page.get_by_role("button", name="Another event").nth(1).click()
    page.get_by_text("The story has a thread of its own now.").wait_for()
    assert page.locator("#stories").get_by_text(TITLES["快讯"]).count() == 0
    with organisation_scope(organisation.pk):
        assert Thread.objects.count() == 2
