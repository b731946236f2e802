"""What customers asked in vain: gathered, counted by customers, answered with one click, ignored, merged, divided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from knowledge_kit import embed_texts, work

from apps.customer_service.models import (
    Answer,
    Conversation,
    Message,
    UnansweredCluster,
    UnansweredQuestion,
    Visitor,
)
from apps.customer_service.selectors.unanswered import (
    cluster_counts,
    cluster_list,
    cluster_near,
    reply_proposed,
)
from apps.customer_service.services.answering import replying
from apps.customer_service.services.conversations import conversation_open
from apps.customer_service.services.learning import queue
from apps.customer_service.services.learning.unanswered import (
    gather_request,
    questions_gather,
    questions_read,
)
from apps.customer_service.services.messages import message_add
from apps.customer_service.services.releases import release_publish
from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.modelhub.inference import InferenceUnavailable
from rootstock.outbox.models import OutboxMessage
from rootstock.realtime.models import Event
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

GIFT = (
    "Do you sell gift cards?",
    "Can I buy a gift card from you?",
    "do you have gift cards for sale",
)
BOAT = ("Do you ship to Iceland?", "Is shipping to Iceland possible?")


@pytest.fixture(autouse=True)
def _model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rootstock.vectors.inference.hub.embed_by_model", embed_texts)


def ask(text: str, language: str = "en", visitor: Visitor | None = None) -> UnansweredQuestion:
    """A question in a conversation of its own that had no answer."""
    customer = visitor or Visitor.objects.create()
    conversation = conversation_open(
        channel=None, visitor=customer, origin="widget", language=language
    )
    message = message_add(conversation=conversation, author="visitor", body=text)
    replying._log_unanswered(message, text, language, "no-passage")
    return UnansweredQuestion.objects.get(message=message)


def gather(organisation: Organisation) -> None:
    read = questions_read(organisation_id=organisation.pk)
    with organisation_scope(organisation.pk):
        questions_gather(read=read)


def asked(organisation: Organisation, *texts: str, language: str = "en") -> None:
    with organisation_scope(organisation.pk):
        for text in texts:
            ask(text, language)
    gather(organisation)


def groups(organisation: Organisation) -> list[set[str]]:
    with organisation_scope(organisation.pk):
        return [
            set(cluster.questions.values_list("text", flat=True))
            for cluster in UnansweredCluster.objects.order_by("-size", "pk")
        ]


def first(organisation: Organisation) -> UnansweredCluster:
    found = cluster_list().first()
    assert found is not None
    return found


def test_questions_that_ask_the_same_become_one_and_the_most_asked_comes_first(
    organisation: Organisation,
) -> None:
    asked(organisation, BOAT[0], *GIFT, BOAT[1], "My pen leaks")
    assert groups(organisation) == [set(GIFT), set(BOAT), {"My pen leaks"}]
    with organisation_scope(organisation.pk):
        assert [cluster.size for cluster in cluster_list()] == [3, 2, 1]
        assert first(organisation).title in GIFT
        [event] = Event.objects.filter(stream="service.unanswered")
        assert event.payload == {"open": 3}


def test_they_go_on_as_questions_come_and_nothing_is_gathered_twice(
    organisation: Organisation,
) -> None:
    asked(organisation, GIFT[0], BOAT[0])
    asked(organisation, GIFT[1], BOAT[1])
    gather(organisation)
    asked(organisation, GIFT[2])
    assert groups(organisation) == [set(GIFT), set(BOAT)]


def test_customers_are_counted_not_questions(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        insistent = Visitor.objects.create()
        for text in GIFT:
            ask(text, visitor=insistent)
        for text in BOAT:
            ask(text)
    gather(organisation)
    with organisation_scope(organisation.pk):
        assert [(c.title in BOAT, c.size) for c in cluster_list()] == [(True, 2), (False, 1)]


def test_traditional_and_simplified_chinese_meet_by_words(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packaged model does not read Chinese."""
    monkeypatch.setattr(
        "apps.customer_service.inference.meanings.languages_read", lambda _: frozenset({"en"})
    )
    asked(organisation, "可以用禮品卡付款嗎", "能不能送到冰島", language="zh")
    asked(organisation, "可以用礼品卡付款吗？", "能送到冰岛吗", language="zh")
    assert groups(organisation) == [
        {"可以用禮品卡付款嗎", "可以用礼品卡付款吗？"},
        {"能不能送到冰島", "能送到冰岛吗"},
    ]


def test_languages_stay_apart(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        ask("gift card", "en")
        ask("gift card", "zh")
    gather(organisation)
    assert len(groups(organisation)) == 2


def test_a_question_asks_for_gathering_once_for_a_burst(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        for text in GIFT:
            ask(text)
        assert OutboxMessage.objects.filter(topic="service.unanswered").count() == 1


def test_while_the_model_does_not_answer_they_wait(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any, **__: Any) -> Any:
        raise InferenceUnavailable("down")

    monkeypatch.setattr("rootstock.vectors.inference.hub.embed_by_model", down)
    with organisation_scope(organisation.pk):
        ask(GIFT[0])
    with pytest.raises(InferenceUnavailable):
        questions_read(organisation_id=organisation.pk)
    with organisation_scope(organisation.pk):
        assert cluster_counts()["waiting"] == 1
        long_ago = timezone.now() - timedelta(minutes=5)
        UnansweredQuestion.objects.update(created_at=long_ago)
    # Words have to do; the model reads them once it is back.
    gather(organisation)
    monkeypatch.setattr("rootstock.vectors.inference.hub.embed_by_model", embed_texts)
    assert groups(organisation) == [{GIFT[0]}]
    asked(organisation, GIFT[1])
    assert groups(organisation) == [set(GIFT[:2])]


def test_another_model_reads_the_old_clusters_again(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(organisation, GIFT[0], BOAT[0])

    def other(model: str, texts: Any, **_: Any) -> Any:
        digest, vectors = embed_texts(model, texts)
        return digest[::-1], -vectors[:, ::-1]

    monkeypatch.setattr("rootstock.vectors.inference.hub.embed_by_model", other)
    asked(organisation, GIFT[1], BOAT[1])
    assert groups(organisation) == [{GIFT[0], GIFT[1]}, set(BOAT)]


def test_one_click_makes_an_answer_with_the_questions_and_a_persons_words(
    organisation: Organisation, agent: Any
) -> None:
    with organisation_scope(organisation.pk):
        question = ask(GIFT[0])
        conversation = question.conversation
        conversation.status = Conversation.Status.ASSIGNED
        conversation.assignee = agent
        conversation.save()
        message_add(
            conversation=conversation, author="agent", member=agent,
            body="Yes, cards of 20 and 50 euros. Write to 13912345678 for more.",
        )  # fmt: skip
        for text in GIFT[1:]:
            ask(text)
    gather(organisation)
    with organisation_scope(organisation.pk):
        cluster = first(organisation)
        proposal = reply_proposed(cluster)
        assert proposal is not None
        assert proposal["body"].startswith("Yes, cards of 20 and 50 euros.")
        assert "13912345678" not in proposal["body"]
        answer = queue.cluster_answer(cluster=cluster, actor=SYSTEM, body=proposal["body"])
        assert answer.origin == Answer.Origin.UNANSWERED
        assert {answer.title, *answer.questions} == set(GIFT)
        assert not answer.live
        assert cluster_counts()["answered"] == 1


def test_an_answer_that_is_not_found_comes_back_once_it_is_published(
    organisation: Organisation,
) -> None:
    asked(organisation, *GIFT[:2])
    with organisation_scope(organisation.pk):
        answer = queue.cluster_answer(
            cluster=first(organisation), actor=SYSTEM, body="Yes, in every shop."
        )
    # Asked before the release: no wonder.
    asked(organisation, GIFT[2])
    with organisation_scope(organisation.pk):
        assert cluster_counts()["answered"] == 1
        release_publish(actor=SYSTEM)
    asked(organisation, "Where can I buy gift cards?")
    with organisation_scope(organisation.pk):
        cluster = first(organisation)
        assert (cluster.state, cluster.answer_id) == ("open", answer.pk)
        again = queue.cluster_answer(cluster=cluster, actor=SYSTEM)
        assert again.pk == answer.pk
        assert "Where can I buy gift cards?" in again.questions
        assert again.bodies == {"en": "Yes, in every shop."}


def test_what_is_ignored_takes_its_like_and_stays_out_of_sight(organisation: Organisation) -> None:
    asked(organisation, GIFT[0])
    with organisation_scope(organisation.pk):
        queue.cluster_ignore(cluster=first(organisation), actor=SYSTEM)
    asked(organisation, *GIFT[1:])
    with organisation_scope(organisation.pk):
        assert cluster_counts() == {"open": 0, "answered": 0, "ignored": 1, "waiting": 0}
        cluster = UnansweredCluster.objects.get()
        assert cluster.size == 3
        queue.cluster_ignore(cluster=cluster, actor=SYSTEM, ignored=False)
        assert cluster_counts()["open"] == 1


def test_what_people_divided_or_joined_stays_so(organisation: Organisation) -> None:
    asked(organisation, *GIFT, *BOAT)
    with organisation_scope(organisation.pk):
        cluster = first(organisation)
        apart = cluster.questions.filter(text=GIFT[2]).values_list("pk", flat=True)
        new = queue.cluster_split(cluster=cluster, questions=list(apart), actor=SYSTEM)
        boat = UnansweredCluster.objects.get(questions__text=BOAT[0])
        queue.clusters_merge(cluster=new, others=[boat.pk], actor=SYSTEM)
    asked(organisation, "Is it possible to ship to Iceland?")
    found = groups(organisation)
    assert {GIFT[0], GIFT[1]} in found
    assert any({GIFT[2], *BOAT} <= group for group in found)


def test_acts_that_cannot_be_are_refused(organisation: Organisation) -> None:
    asked(organisation, GIFT[0], GIFT[1])
    with organisation_scope(organisation.pk):
        cluster = first(organisation)
        everything = list(cluster.questions.values_list("pk", flat=True))
        for act in (
            lambda: queue.cluster_answer(cluster=cluster, actor=SYSTEM, body=" "),
            lambda: queue.cluster_split(cluster=cluster, questions=everything, actor=SYSTEM),
            lambda: queue.cluster_split(cluster=cluster, questions=[cluster.pk], actor=SYSTEM),
            lambda: queue.clusters_merge(cluster=cluster, others=[cluster.pk], actor=SYSTEM),
        ):
            with pytest.raises(Problem) as refused:
                act()
            assert refused.value.status_code == 422


def test_near_ones_are_offered_for_a_merger(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        one = UnansweredCluster.objects.create(title="Do you sell gift cards?", language="en")
        other = UnansweredCluster.objects.create(title="Where are gift cards sold?", language="en")
        UnansweredCluster.objects.create(title="Is the pen blue", language="en")
        assert cluster_near(one) == [other]


def test_from_a_visitors_question_to_the_queue(organisation: Organisation) -> None:
    """Through the assistant and the worker."""
    with organisation_scope(organisation.pk):
        visitor = Visitor.objects.create()
        conversation = conversation_open(channel=None, visitor=visitor, origin="widget")
        message_add(conversation=conversation, author="visitor", body=GIFT[0])
    work(organisation)
    with organisation_scope(organisation.pk):
        assert Message.objects.filter(author="assistant").count() == 1
        OutboxMessage.objects.update(available_at="2020-01-01T00:00Z")
    work(organisation)
    assert groups(organisation) == [{GIFT[0]}]


def test_gathering_goes_on_while_some_are_left(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.customer_service.services.learning.unanswered.BATCH", 2)
    with organisation_scope(organisation.pk):
        for text in GIFT:
            ask(text)
        OutboxMessage.objects.all().delete()
    gather(organisation)
    with organisation_scope(organisation.pk):
        assert OutboxMessage.objects.filter(topic="service.unanswered").exists()
        gather_request()
    gather(organisation)
    assert groups(organisation) == [set(GIFT)]
