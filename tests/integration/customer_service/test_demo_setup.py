"""The demonstration's shop is made once, however often its command runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from apps.customer_service.demo import setup
from apps.customer_service.demo.content import demo_answers, demo_documents, demo_questions
from apps.customer_service.models import (
    AgentProfile,
    Answer,
    CannedReply,
    Conversation,
    Document,
    EvaluationQuestion,
    Message,
    MinedPair,
    Release,
)
from apps.customer_service.services.learning.recipes import RECIPES, recipe_dataset
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
import knowledge_kit as kit
from knowledge_world import world

__all__ = ["world"]


@pytest.fixture
def shop(organisation: Any, world: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The shop of an organisation whose worker the test plays; no model is trained, nothing evaluated."""
    monkeypatch.setattr(setup, "models_setup", lambda *_: None)
    monkeypatch.setattr(setup, "evaluation_start", lambda **_: None)
    monkeypatch.setattr(setup.time, "sleep", lambda _seconds: kit.work(organisation))
    call_command("demo_service_setup", organisation=organisation.slug)
    kit.work(organisation)
    return organisation


def counts() -> dict[str, int]:
    models = (
        *(AgentProfile, Answer, CannedReply, Conversation, Document, EvaluationQuestion, Message),
        *(MinedPair, Release),
    )
    return {model.__name__: model.objects.count() for model in models}


def test_the_shop_is_made_once(shop: Any) -> None:
    with organisation_scope(shop.pk):
        made = counts()
        assert (made["Answer"], made["Document"]) == (len(demo_answers()), len(demo_documents()))
        assert made["Answer"] >= 150 and made["Conversation"] >= 300
        assert made["EvaluationQuestion"] == len(demo_questions())
        assert (made["Release"], made["AgentProfile"]) == (1, 4)
        assert made["MinedPair"] > 20
        assert set(Document.objects.values_list("state", flat=True)) == {"ready"}
        assert Release.objects.get().documents
    call_command("demo_service_setup", organisation=shop.slug)
    kit.work(shop)
    with organisation_scope(shop.pk):
        assert counts() == made
        for recipe, labels in zip(RECIPES.values(), (170, 4), strict=True):
            dataset, added = recipe_dataset(recipe=recipe, actor=SYSTEM, language="en")
            assert added.added > 200
            found = {row.content["label"] for row in dataset.examples.all() if row.labelled}
            assert len(found) >= labels
            again, more = recipe_dataset(recipe=recipe, actor=SYSTEM, language="en")
            assert (again, more.added) == (dataset, 0)
