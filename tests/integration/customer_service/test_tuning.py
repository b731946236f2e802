"""Tuning by one's own questions: half choose, half measure; somebody takes it into use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from apps.customer_service.models import EvaluationQuestion
from apps.customer_service.selectors.answering import assistant_get
from apps.customer_service.services import answers, evaluation_questions, tuning
from apps.customer_service.services.assistants import assistant_update
from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
import knowledge_kit as kit
from knowledge_world import world

__all__ = ["world"]
pytestmark = pytest.mark.usefixtures("world")

THINGS = [
    "lamp", "table", "carpet", "mirror", "kettle", "toaster", "blanket", "pillow", "curtain", "bench", "shelf",
    "ladder", "drawer", "basket", "candle",
]  # fmt: skip


def fill(organisation: Any, most: int = len(THINGS)) -> None:
    """Prepared answers that differ by a word, and two questions for each."""
    with organisation_scope(organisation.pk):
        for thing in THINGS[:most]:
            values = {
                "title": f"How long is the warranty of a {thing}?",
                "intent": f"warranty.{thing}",
                "bodies": {"en": f"A {thing} has two years."},
            }
            answers.answer_save(values=values, actor=SYSTEM)
            for text in (f"The {thing}, what is its warranty?", f"warranty {thing}"):
                evaluation_questions.question_save(
                    values={"question": text, "intents": [f"warranty.{thing}"]}
                )
        for text in ("Who painted the Mona Lisa?", "Why is the moon green?"):
            evaluation_questions.question_save(values={"question": text, "unanswerable": True})
    kit.work(organisation)


def tune(organisation: Any) -> Job:
    with organisation_scope(organisation.pk):
        job = tuning.tuning_start(actor=SYSTEM)
    kit.work(organisation)
    with organisation_scope(organisation.pk):
        return Job.objects.get(pk=job.pk)


def test_it_needs_enough_questions_and_runs_once(organisation: Any) -> None:
    fill(organisation, most=3)
    with organisation_scope(organisation.pk):
        assert tuning.tunable_count() == 6
        with pytest.raises(Problem, match="At least 20") as few:
            tuning.tuning_start(actor=SYSTEM)
        assert few.value.status_code == 409
        for number in range(14):
            values = {"question": f"Lamp {number}?", "intents": ["warranty.lamp"]}
            evaluation_questions.question_save(values=values)
        tuning.tuning_start(actor=SYSTEM)
        with pytest.raises(Problem, match="already"):
            tuning.tuning_start(actor=SYSTEM)


def test_what_is_chosen_is_measured_on_the_others_and_taken_into_use(organisation: Any) -> None:
    fill(organisation)
    with organisation_scope(organisation.pk):
        # Letters in threes find little here: words are better.
        assistant_update(values={"vector_weight": 1.0, "template_threshold": 0.99}, actor=SYSTEM)
    job = tune(organisation)
    assert (job.state, job.error) == ("succeeded", "")
    report = job.result
    chose, measured = report["questions"]
    assert chose + measured >= 30
    assert report["weight"]["before"] == 1.0
    assert report["weight"]["after"] < 1.0
    before, after = report["ranking"]["before"], report["ranking"]["after"]
    assert after["mean"] >= before["mean"]
    gain, low, high = report["ranking"]["gain"]
    assert low <= gain <= high
    assert gain == pytest.approx(after["mean"] - before["mean"])
    told = report["direct"]
    assert told["after"][1] <= told["after"][0] <= told["questions"]
    with organisation_scope(organisation.pk):
        assert assistant_get().vector_weight == 1.0
        tuning.tuning_use(job=job, actor=SYSTEM)
        used = assistant_get()
        assert used.vector_weight == report["weight"]["after"]
        assert used.template_threshold == report["threshold"]["after"]
        assert used.retrieval_report["job"] == str(job.pk)
    again = tune(organisation)
    assert again.result["weight"]["before"] == report["weight"]["after"]
    assert again.result["ranking"]["gain"][0] == pytest.approx(0.0, abs=0.05)


def test_questions_that_find_nothing_fail_it_with_a_reason(organisation: Any) -> None:
    with organisation_scope(organisation.pk):
        for number in range(20):
            values = {"question": f"Number {number}?", "document_keys": ["nowhere"]}
            evaluation_questions.question_save(values=values)
        assert EvaluationQuestion.objects.count() == 20
    job = tune(organisation)
    assert job.state == "failed"
    assert "No question" in job.error
    with organisation_scope(organisation.pk), pytest.raises(Problem, match="not come to an end"):
        tuning.tuning_use(job=job, actor=SYSTEM)
