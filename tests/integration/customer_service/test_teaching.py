"""The loop: what helped and what did not becomes rows, labels, a model, and the assistant asks it."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytest

from apps.customer_service.inference.understanding import INTENT
from apps.customer_service.models import (
    Answer,
    Conversation,
    Message,
    MinedPair,
    Suggestion,
    Visitor,
)
from apps.customer_service.selectors.teaching import lesson_get
from apps.customer_service.services.answering import Question, answer
from apps.customer_service.services.answers import answer_save
from apps.customer_service.services.conversations import conversation_open
from apps.customer_service.services.learning import candidates
from apps.customer_service.services.learning.recipes import RECIPES
from apps.customer_service.services.learning.teaching import (
    lesson_collect,
    lesson_deploy,
    lesson_label,
    lesson_train,
)
from apps.customer_service.services.messages import message_add
from ml_core.models import Predictor
from ml_core.registry import Artifact
from ml_core.serving import ClassifyRequest, ClassifyResult, ModelInfo
from ml_core.training import TrainConfig, train
from rootstock.common.actors import SYSTEM
from rootstock.modelhub.models import DatasetExample, TrainingRun
from rootstock.modelhub.services import (
    gate_policy_update,
    version_register,
    version_rollback,
)
from rootstock.modelhub.services.annotation import example_next
from rootstock.modelhub.storage import absolute_path
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parents[1] / "modelhub"))
from modelhub_helpers import OPTIONS, make_examples, write_tiny_base

RECIPE = RECIPES[INTENT]


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own transaction holds back nothing."""
    from django.utils import timezone

    for module in ("candidates", "model_rows"):
        name = f"apps.customer_service.services.learning.{module}.settled"
        monkeypatch.setattr(name, timezone.now)


@pytest.fixture
def gift(scope: Organisation) -> Answer:
    """A prepared answer."""
    return Answer.objects.create(intent="gift", title="Gift cards", bodies={"en": "Yes."})


def talk(gift: Answer, text: str, **fields: Any) -> Message:
    """A question that the prepared answer was given to; returns the reply, of which `fields` are set."""
    conversation = conversation_open(
        channel=None, visitor=Visitor.objects.create(), origin="widget", language="en"
    )
    asked = message_add(conversation=conversation, author="visitor", body=text)
    trace = {"question": text, "steps": [{"step": "template", "answer": str(gift.pk)}]}
    reply = message_add(
        conversation=conversation, author="assistant", body="Yes.", in_reply_to=asked,
        trace=trace, kind="template",
    )  # fmt: skip
    Message.objects.filter(pk=reply.pk).update(**fields)
    return Message.objects.get(pk=reply.pk)


def told(cursor: str = "") -> list[tuple[str, str | None, str]]:
    return [
        (row.content["text"], row.content.get("label"), row.metadata["from"])
        for row in candidates.outcome_rows("text-classification", cursor)
    ]


def test_thumbs_say_which_answer_was_right_and_which_was_not(gift: Answer) -> None:
    talk(gift, "a card as a present?", thumb=1)
    talk(gift, "my card 13912345678 is blocked", thumb=-1)
    talk(gift, "nobody said anything to this")
    rows = told()
    assert rows[0] == ("a card as a present?", "gift", "helped")
    assert rows[1][1:] == (None, "thumb-down")
    assert "13912345678" not in rows[1][0]
    assert len(rows) == 2


def test_what_agents_sent_as_it_was_has_a_label_and_what_they_changed_is_asked_first(
    gift: Answer,
) -> None:
    for text, outcome in (("one", "accepted"), ("two", "edited"), ("three", "shown")):
        reply = talk(gift, text)
        Suggestion.objects.create(
            conversation=reply.conversation, question=reply.in_reply_to, body="Yes.",
            outcome=outcome, sent_body="Yes, of course.", trace=reply.trace,
        )  # fmt: skip
    assert told() == [("one", "gift", "accepted"), ("two", None, "edited")]
    rows = list(candidates.outcome_rows("text-classification", ""))
    assert [row.uncertainty for row in rows] == [None, 1.0]
    assert told(rows[0].cursor) == [("two", None, "edited")]
    assert told(rows[-1].cursor) == []
    replies = list(candidates.reply_rows("text-generation", ""))
    assert [row.content["response"] for row in replies] == ["Yes, of course."] * 2


def test_a_conversation_that_the_assistant_settled_alone_says_what_was_right(gift: Answer) -> None:
    reply = talk(gift, "gift cards please")
    resolved = Conversation.objects.filter(pk=reply.conversation_id)
    resolved.update(status="resolved", contained=True)
    assert told() == [("gift cards please", "gift", "resolved")]
    resolved.update(csat=1)
    assert told() == []


def test_an_answer_that_was_retrieved_has_no_label(gift: Answer) -> None:
    reply = talk(gift, "x", thumb=1)
    steps = [*reply.trace["steps"], {"step": "retrieve"}]
    Message.objects.filter(pk=reply.pk).update(trace={**reply.trace, "steps": steps})
    assert told() == []


def test_accepted_pairs_are_answers_of_people(gift: Answer) -> None:
    conversation = talk(gift, "x").conversation
    for state in ("accepted", "proposed"):
        MinedPair.objects.create(
            question=f"{state}?", reply="Indeed.", score=1.0, conversation=conversation,
            state=state, digest=state,
        )  # fmt: skip
    rows = list(candidates.reply_rows("text-generation", ""))
    assert [row.content for row in rows] == [{"prompt": "accepted?", "response": "Indeed."}]
    assert not list(candidates.reply_rows("text-generation", rows[-1].cursor))


def test_a_cursor_fits_its_column(gift: Answer) -> None:
    reply = talk(gift, "a", thumb=1)
    Conversation.objects.filter(pk=reply.conversation_id).update(status="resolved", contained=True)
    Suggestion.objects.create(
        conversation=reply.conversation, question=reply.in_reply_to, body="Yes.",
        outcome="accepted", sent_body="Yes.", trace=reply.trace,
    )  # fmt: skip
    *_others, last = candidates.outcome_rows("text-classification", "")
    assert len(last.cursor) <= 200


def test_a_verdict_labels_a_row_that_was_there_without_one(gift: Answer) -> None:
    reply = talk(gift, "Would a card make a good present for somebody?")
    doubtful = talk(gift, "Is the blue card any good for my old mother?")
    lesson_collect(recipe=RECIPE, actor=SYSTEM)
    rows = DatasetExample.objects.filter(text__contains="card ")
    assert sorted(rows.values_list("labelled", flat=True)) == [False, False]
    Message.objects.filter(pk=reply.pk).update(thumb=1)
    Message.objects.filter(pk=doubtful.pk).update(thumb=-1)
    lesson_collect(recipe=RECIPE, actor=SYSTEM)
    example = DatasetExample.objects.get(text__startswith="Would a card")
    assert (example.label, example.labelled) == ("gift", True)
    queue = lesson_label(recipe=RECIPE, actor=SYSTEM)
    assert queue.choices == ["gift"]
    first = example_next(queue=queue, actor=SYSTEM)
    assert first is not None
    assert first.text.startswith("Is the blue card")
    assert lesson_label(recipe=RECIPE, actor=SYSTEM) == queue


class LocalClient:
    """The inference process without the process."""

    def __init__(self) -> None:
        self.predictors: dict[str, Predictor] = {}

    def load(self, path: Path) -> ModelInfo:
        artifact = Artifact.open(path)
        manifest = artifact.manifest
        return ModelInfo(
            model=str(path), digest=artifact.digest, task=manifest.task, labels=manifest.labels,
            languages=manifest.languages, max_length=manifest.max_length,
            size_bytes=artifact.size_bytes,
        )  # fmt: skip

    def classify(self, requests: list[ClassifyRequest], **_: Any) -> list[ClassifyResult]:
        results = []
        for request in requests:
            path = str(request.model)
            self.predictors.setdefault(path, Predictor.load(path))
            predictions = tuple(self.predictors[path].predict(request.texts))
            results.append(ClassifyResult(path, "", predictions))
        return results


def train_here(run: TrainingRun, base: Path) -> None:
    """What the trainer does with a run, in this process and with a tiny base."""
    rows = absolute_path("rows").with_suffix(".csv")
    with rows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(
            run.snapshot.dataset.examples.filter(labelled=True).values_list("text", "label")
        )
    path = f"versions/{run.pk}"
    values = {"train": rows, "out": absolute_path(path), "base": str(base)}
    trained = train(TrainConfig.from_mapping({**values, **OPTIONS}))
    version_register(
        name=run.name, artifact_path=path, actor=SYSTEM, snapshot=run.snapshot, run=run,
        metrics={"test": trained.manifest.metrics, "validation": trained.manifest.metrics},
    )  # fmt: skip
    TrainingRun.objects.filter(pk=run.pk).update(state="succeeded", job=None)


@pytest.mark.slow
def test_from_prepared_answers_to_a_model_that_the_assistant_asks(
    organisation: Organisation,
    artifacts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without leaving the product: collect, train, deploy; what visitors write then has an intent."""
    client = LocalClient()
    monkeypatch.setattr("rootstock.modelhub.inference._client", lambda *_: client)
    monkeypatch.setattr(
        "apps.customer_service.services.learning.teaching.base_languages", lambda: ("en",)
    )
    base = write_tiny_base(tmp_path / "tiny")
    asked: dict[str, list[str]] = {}
    for example in make_examples(150):
        asked.setdefault(str(example.label), []).append(str(example.text))
    question = Question(text="the company loses a lawsuit and falls", language="en")
    before = answer(organisation.pk, question)
    assert before.intent == ""
    with organisation_scope(organisation.pk):
        for intent, texts in asked.items():
            values = {"title": texts[0], "intent": intent, "questions": texts[1:]}
            answer_save(values=values | {"bodies": {"en": f"About {intent}."}}, actor=SYSTEM)
        assert lesson_get(RECIPE).step == "collect"
        lesson_collect(recipe=RECIPE, actor=SYSTEM)
        assert lesson_get(RECIPE).step == "train"
        run = lesson_train(recipe=RECIPE, actor=SYSTEM)
        assert lesson_get(RECIPE).step == "training"
        assert (run.name, run.config["languages"]) == (INTENT, ["en"])
        train_here(run, base)
        assert lesson_get(RECIPE).step == "check"
        off = {"latency": {"enabled": False}}
        gate_policy_update(deployment=INTENT, checks=off, actor=SYSTEM)
        deployed = lesson_deploy(recipe=RECIPE, actor=SYSTEM)
        lesson = lesson_get(RECIPE)
        assert (lesson.is_newest, lesson.step) == (True, "")
    after = answer(organisation.pk, question)
    assert after.intent == "negative"
    step = next(step for step in after.trace["steps"] if step["step"] == "understand")
    assert step["versions"] == {INTENT: deployed.version.label}
    with organisation_scope(organisation.pk):
        again = lesson_train(recipe=RECIPE, actor=SYSTEM)
        train_here(again, base)
        lesson_deploy(recipe=RECIPE, actor=SYSTEM)
        version_rollback(deployment=deployed, actor=SYSTEM)
        lesson = lesson_get(RECIPE)
        assert (lesson.taken_back, lesson.step) == (True, "")
