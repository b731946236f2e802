"""Asking the knowledge by hand: why each passage ranks, and what the lists of sources say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from apps.customer_service.models import Passage
from apps.customer_service.selectors.knowledge import changes_told, source_rows, sources_find
from apps.customer_service.services.documents import passage_hide
from apps.customer_service.services.hit_testing import knowledge_ask
from apps.customer_service.services.releases import release_publish
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
import knowledge_kit as kit
from knowledge_world import world

__all__ = ["world"]
pytestmark = pytest.mark.usefixtures("world")


def test_each_passage_says_why_it_ranks(organisation: Any) -> None:
    empty = knowledge_ask(organisation.pk, "Anything?", audience="public", draft=True)
    assert (empty.rows, empty.search) == ([], None)
    kit.add_file(organisation, "returns.md", "# Returns\n\nYou may return goods within 30 days.")
    kit.add_file(organisation, "shipping.md", "# Shipping\n\nA parcel costs 4 EUR.")
    kit.add_file(organisation, "staff.md", "Goods are returned to shelf 7.", audiences=["staff"])
    asked = knowledge_ask(
        organisation.pk, "Within how many days may I return goods?", audience="public", draft=True
    )
    best = asked.rows[0]
    assert best.passage.headings == ["Returns"]
    assert (best.said, best.hit.rank_words, best.hit.rank_vector) == (True, 1, 1)
    assert best.hit.words and best.hit.bm25 > 0 and best.hit.cosine is not None
    assert all("shelf" not in row.passage.text for row in asked.rows)
    assert asked.reply is not None and "30 days" in asked.reply.body
    live = knowledge_ask(organisation.pk, "Return goods?", audience="public", draft=False)
    assert live.rows == []


def test_sources_say_how_they_stand_and_releases_what_they_changed(organisation: Any) -> None:
    kit.add_file(organisation, "good.md", "# A\n\nSomething to read.")
    kit.add_file(organisation, "bad.docx", b"PK\x03\x04 broken")
    with organisation_scope(organisation.pk):
        rows = {row.source.title: row for row in source_rows(sources_find())}
        assert (rows["good.md"].state, rows["good.md"].passages) == ("ready", 1)
        assert rows["bad.docx"].state == "failed"
        assert "damaged" in rows["bad.docx"].reason
        release = release_publish(actor=SYSTEM)
        told = changes_told(release.changes)
        assert [(each.verb, each.kind, each.title) for each in told] == [
            ("added", "document", "good.md v1")
        ]
        passage_hide(passage=Passage.objects.get(), hidden=True, actor=SYSTEM)
    asked = knowledge_ask(organisation.pk, "Something", audience="public", draft=False)
    assert asked.rows == []
