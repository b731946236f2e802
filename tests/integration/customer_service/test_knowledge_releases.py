"""Releases and evaluation: what visitors get, when, and what keeps a worse draft from them."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from apps.customer_service.models import Answer, Document, EvaluationRun, Release, Source
from apps.customer_service.services import (
    answers,
    evaluation,
    evaluation_questions,
    releases,
    sources,
)
from apps.customer_service.services.answering import Question, answer
from rootstock.audit.models import AuditEntry
from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors.models import Item

sys.path.insert(0, str(Path(__file__).parent))
import knowledge_kit as kit
from knowledge_world import world

__all__ = ["world"]
pytestmark = pytest.mark.usefixtures("world")


def publish(organisation: Any, **options: Any) -> Release:
    with organisation_scope(organisation.pk):
        return releases.release_publish(actor=SYSTEM, **options)


def write(organisation: Any, title: str, body: str, *questions: str, **more: Any) -> Answer:
    with organisation_scope(organisation.pk):
        values = {"title": title, "bodies": {"en": body}, "questions": list(questions), **more}
        made = answers.answer_save(values=values, actor=SYSTEM)
    kit.work(organisation)
    return made


def questions(organisation: Any, **attributes: Any) -> list[str]:
    with organisation_scope(organisation.pk):
        found = Item.objects.filter(
            collection__name="service-questions", attributes__contains=attributes
        )
        return sorted(found.values_list("text", flat=True))


def asks(organisation: Any, text: str, **values: Any) -> None:
    with organisation_scope(organisation.pk):
        evaluation_questions.question_save(values={"question": text, **values})


def evaluate(organisation: Any) -> EvaluationRun:
    with organisation_scope(organisation.pk):
        run = evaluation.evaluation_start(actor=SYSTEM)
    kit.work(organisation)
    with organisation_scope(organisation.pk):
        return EvaluationRun.objects.get(pk=run.pk)


# --- publishing --------------------------------------------------------------------------------


def test_visitors_get_what_is_published_all_at_once(organisation: Any) -> None:
    kit.add_file(organisation, "a.md", "# Returns\n\nWithin 30 days.")
    write(organisation, "Opening hours", "We are open from 9 to 5.", "When are you open?")
    assert kit.texts(organisation, live=True) == []
    release = publish(organisation, comment="first")
    assert (release.number, len(release.documents), len(release.answers)) == (1, 1, 1)
    assert kit.texts(organisation, live=True) == ["Returns\nWithin 30 days."]
    assert questions(organisation, live=True) == ["Opening hours", "When are you open?"]
    with pytest.raises(Problem, match="just this already"):
        publish(organisation)

    kit.add_file(organisation, "a.md", "# Returns\n\nWithin 14 days.")
    with organisation_scope(organisation.pk):
        values = {"bodies": {"en": "We are open from 8 to 6."}, "questions": ["Opening times?"]}
        answers.answer_save(answer=Answer.objects.get(), values=values, actor=SYSTEM)
    assert kit.texts(organisation, live=True) == ["Returns\nWithin 30 days."]
    assert questions(organisation, live=True) == ["Opening hours", "When are you open?"]
    with organisation_scope(organisation.pk):
        assert Answer.objects.get().live_bodies == {"en": "We are open from 9 to 5."}

    second = publish(organisation)
    assert [len(ids) for ids in second.changes["documents"]] == [1, 1]
    assert [len(ids) for ids in second.changes["answers"]] == [0, 1, 0]
    assert kit.texts(organisation, live=True) == ["Returns\nWithin 14 days."]
    assert questions(organisation, live=True) == ["Opening hours", "Opening times?"]


def test_going_back_is_a_release_of_what_was(organisation: Any) -> None:
    kit.add_file(organisation, "a.md", "Version one of it.")
    first = write(organisation, "Hours", "From 9 to 5.")
    publish(organisation)
    kit.add_file(organisation, "a.md", "Version two of it.")
    kit.add_file(organisation, "b.md", "Something new.")
    with organisation_scope(organisation.pk):
        answers.answer_remove(answer=first, actor=SYSTEM)
    publish(organisation)
    assert kit.texts(organisation, live=True) == ["Something new.", "Version two of it."]
    assert questions(organisation, live=True) == []
    with organisation_scope(organisation.pk):
        back = releases.release_roll_back(number=1, actor=SYSTEM)
    assert (back.number, back.comment) == (3, "Back to release 1")
    assert kit.texts(organisation, live=True) == ["Version one of it."]
    assert questions(organisation, live=True) == ["Hours"]
    assert kit.texts(organisation, draft=True) == ["Something new.", "Version two of it."]
    with organisation_scope(organisation.pk):
        assert Answer.objects.get().live
        with pytest.raises(Problem, match="just this already"):
            releases.release_roll_back(number=1, actor=SYSTEM)


def test_a_removed_source_leaves_at_once_and_an_expired_one_is_not_published(
    organisation: Any,
) -> None:
    kit.add_file(organisation, "a.md", "To be removed.")
    late = kit.add_file(organisation, "b.md", "To expire.")
    publish(organisation)
    with organisation_scope(organisation.pk):
        sources.source_remove(source=Source.objects.get(title="a.md"), actor=SYSTEM)
        source = Source.objects.get(pk=late.source_id)
        gone = timezone.now() - timedelta(seconds=1)
        sources.source_update(source=source, values={"expires_at": gone}, actor=SYSTEM)
    assert kit.texts(organisation, live=True) == []
    publish(organisation)
    with organisation_scope(organisation.pk):
        assert Release.objects.latest("number").documents == []
        sources.source_update(source=source, values={"expires_at": None}, actor=SYSTEM)
    assert kit.texts(organisation, live=True) == []
    assert kit.texts(organisation, draft=True) == ["To expire."]


def test_versions_that_nobody_can_go_back_to_are_deleted(organisation: Any) -> None:
    for number in range(3):
        kit.add_file(organisation, "a.md", f"Version {number} of it.")
        if number != 1:
            publish(organisation)
    with organisation_scope(organisation.pk):
        assert releases.versions_tidy() == 0
        Document.objects.update(read_at=timezone.now() - timedelta(days=40))
        path = Document.objects.get(version=2).path
        assert releases.versions_tidy() == 1
        assert sorted(Document.objects.values_list("version", flat=True)) == [1, 3]
        assert not default_storage.exists(path)
    assert kit.texts(organisation) == ["Version 0 of it.", "Version 2 of it."]


# --- prepared answers --------------------------------------------------------------------------


def test_answers_are_checked(organisation: Any) -> None:
    first = write(organisation, "Opening hours", "From 9 to 5.")
    assert first.intent == "opening-hours"
    assert write(organisation, "Opening hours", "Other").intent == "opening-hours-2"
    with organisation_scope(organisation.pk):
        for values, words in [
            ({"title": ""}, "title"),
            ({"title": "A", "bodies": {}}, "English or Chinese"),
            ({"title": "A", "bodies": {"fr": "x"}}, "English or Chinese"),
            ({"title": "A", "bodies": {"en": "x"}, "intent": "a b"}, "intent"),
            ({"title": "A", "bodies": {"en": "x"}, "intent": "opening-hours"}, "already"),
            ({"title": "A", "bodies": {"en": "x"}, "questions": ["q" * 1001]}, "questions"),
        ]:
            with pytest.raises(Problem, match=words):
                answers.answer_save(values=values, actor=SYSTEM)


def test_the_assistant_answers_from_draft_or_live(organisation: Any) -> None:
    kit.add_file(
        organisation, "a.md", "# Returns\n\nYou may return goods within 30 days of delivery."
    )
    kit.work(organisation)
    asked = "Within how many days may I return goods?"
    draft = answer(organisation.pk, Question(asked, draft=True))
    assert "30 days" in draft.body
    assert draft.citations[0]["title"] == "a.md"
    assert not answer(organisation.pk, Question(asked)).helped
    publish(organisation)
    assert answer(organisation.pk, Question(asked)).helped


# --- evaluation --------------------------------------------------------------------------------


@pytest.fixture
def knowledge(world: None, organisation: Any) -> None:
    kit.add_file(
        organisation, "returns.md", "# Returns\n\nYou may return goods within 30 days of delivery."
    )
    kit.add_file(organisation, "shipping.md", "# Shipping\n\nA parcel within Germany costs 4 EUR.")
    write(organisation, "Opening hours", "We are open from 9 to 5.", "When are you open?")
    asks(
        organisation,
        "Within how many days may I return goods?",
        document_keys=["returns.md"],
        must_contain=["30 days"],
    )
    asks(
        organisation,
        "What does a parcel within Germany cost?",
        document_keys=["shipping.md"],
        must_contain=["4 EUR"],
    )
    asks(organisation, "When are you open?", intents=["opening-hours"])
    asks(organisation, "Who won the football match on Sunday?", unanswerable=True)


@pytest.mark.usefixtures("knowledge")
def test_a_draft_must_be_evaluated_and_must_not_get_worse(organisation: Any) -> None:
    with pytest.raises(Problem, match="Evaluate it first"):
        publish(organisation)
    run = evaluate(organisation)
    assert run.state == "done", run.findings
    assert (run.passed, run.figures["questions"]) == (True, 4)
    assert run.figures["recall_at_5"] == 1.0
    assert run.figures["right"] == 1.0, run.rows
    assert len(run.figures["interval"]["right"]) == 2
    assert publish(organisation).evaluation_id == run.pk

    kit.add_file(organisation, "returns.md", "# Nothing\n\nAsk somebody else about it.")
    with pytest.raises(Problem, match="Evaluate it first"):
        publish(organisation)
    worse = evaluate(organisation)
    assert (worse.passed, worse.baseline_id) == (False, run.pk)
    assert any("answered as it should be" in remark for remark in worse.remarks)
    with pytest.raises(Problem, match="worse") as raised:
        publish(organisation)
    assert raised.value.errors
    forced = publish(organisation, forced=True, comment="on purpose")
    assert (forced.forced, forced.evaluation_id) == (True, worse.pk)
    with organisation_scope(organisation.pk):
        entry = AuditEntry.objects.filter(action="service.release.publish").latest("id")
        assert entry.changes["forced"] is True


@pytest.mark.usefixtures("knowledge")
def test_an_evaluation_that_was_killed_goes_on(
    organisation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rootstock.jobs import services as jobs
    from rootstock.jobs.models import Job

    real, seen = evaluation.answer, []
    monkeypatch.setattr(evaluation, "_SAVED_EVERY", 1)

    class Killed(BaseException):
        pass

    def killed(*args: Any) -> Any:
        seen.append(args)
        if len(seen) == 3:
            raise Killed
        return real(*args)

    monkeypatch.setattr(evaluation, "answer", killed)
    with pytest.raises(Killed):
        evaluate(organisation)
    with organisation_scope(organisation.pk):
        job = Job.objects.get(kind=evaluation.EVALUATE_JOB)
        Job.objects.filter(pk=job.pk).update(leased_until=timezone.now() - timedelta(minutes=1))
        assert jobs.job_recover(job.pk, resumable=True)
    kit.work(organisation)
    with organisation_scope(organisation.pk):
        run = EvaluationRun.objects.get()
    assert (run.state, len(run.rows), len(seen)) == ("done", 4, 5)


def test_questions_come_from_files_and_go_into_them(organisation: Any) -> None:
    data = "question,document_keys,intents,unanswerable\n能退货吗？,a.md|b.md,,\n,x,,\nWeather?,,,yes\nBad,a.md,,yes\n"
    with organisation_scope(organisation.pk):
        report = evaluation_questions.questions_import(data.encode(), name="q.csv")
        assert (report.created, report.updated, [line for line, _why in report.bad]) == (
            2,
            0,
            [3, 5],
        )
        for as_csv, name in ((True, "q.csv"), (False, "q.jsonl")):
            exported = evaluation_questions.questions_export(as_csv=as_csv)
            again = evaluation_questions.questions_import(exported.encode(), name=name)
            assert (again.created, again.updated, again.bad) == (0, 2, [])
            assert evaluation_questions.questions_export(as_csv=as_csv) == exported
        bad = evaluation_questions.questions_import(
            b'[]\n{"question": 1, "intents": "x"}\nnope\n', name="q.jsonl"
        )
        assert [line for line, _why in bad.bad] == [1, 2, 3]
        with pytest.raises(Problem, match="columns"):
            evaluation_questions.questions_import(b"a,b\n1,2\n", name="q.csv")
        with pytest.raises(Problem, match="characters"):
            evaluation_questions.question_save(values={"question": " "})
