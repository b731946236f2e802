"""Questions without an answer become clusters, as they come: read outside of transactions, gathered in one.

What is gathered once stays together. A cluster that somebody has answered, ignored, merged or split takes further
questions in, and is otherwise left as it is.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
from django.db import connection
from django.db.models import Count, F, Max, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.customer_service.inference.likeness import (
    ALIKE,
    ALIKE_BY_WORDS,
    likeness_vectors,
    word_vectors,
    word_weights,
)
from apps.customer_service.inference.meanings import InferenceUnavailable, encoder_get
from apps.customer_service.models import Release, UnansweredCluster, UnansweredQuestion
from apps.customer_service.services.learning.clustering import gather
from rootstock.outbox.services import outbox_write
from rootstock.realtime.services import event_append
from rootstock.tenancy.scope import current_organisation_id, organisation_scope

TOPIC: Final = "service.unanswered"
STREAM: Final = "service.unanswered"
# Questions of a burst are gathered together.
PAUSE: Final = timedelta(seconds=3)
# For so long a question waits for an encoder that does not answer.
PATIENCE: Final = timedelta(seconds=20)
# Questions at a time, clusters that they are compared with (those asked last), and questions that stand for a cluster.
BATCH: Final = 300
MOST_CLUSTERS: Final = 1500
_MEMBERS: Final = 20
State = UnansweredCluster.State
Vectors = npt.NDArray[np.float32]


@dataclass
class Read:
    """The new questions, and what the encoder says of those that it reads and of clusters that it has not read yet:
    vectors by id."""

    ids: list[uuid.UUID] = field(default_factory=list)
    digest: str = ""
    questions: dict[uuid.UUID, Vectors] = field(default_factory=dict)
    clusters: dict[uuid.UUID, Vectors] = field(default_factory=dict)


def gather_request(question: UnansweredQuestion | None = None) -> None:
    """Have new questions gathered soon; also a hook of `on_unanswered`."""
    outbox_write(TOPIC, {}, available_at=timezone.now() + PAUSE, coalesce_key="gather")


def questions_read(*, organisation_id: uuid.UUID) -> Read:
    """Ask the encoder for what the next questions need; outside of a scope. Where it does not answer for a while, words
    have to do: what they gather is read later, with the next questions.

    Raises:
        InferenceUnavailable: no answer at the moment.
    """
    with organisation_scope(organisation_id):
        encoder = encoder_get()
        new = list(UnansweredQuestion.objects.filter(cluster=None).order_by("pk")[:BATCH])
    read = Read([each.pk for each in new])
    legible = [each for each in new if encoder.reads(each.language)]
    try:
        made = encoder.embed([each.text for each in legible]) if legible else None
    except InferenceUnavailable:
        if new[0].created_at > timezone.now() - PATIENCE:
            raise
        made = None
    if made is None:
        return read
    read.digest = made[0]
    read.questions = dict(zip((each.pk for each in legible), made[1], strict=True))
    with organisation_scope(organisation_id):
        clusters = _clusters({each.language for each in legible})
        texts = _texts([each for each in clusters if each.model_digest != read.digest])
    asked = list(chain.from_iterable(texts.values()))
    again = encoder.embed(asked) if asked else None
    if again is not None and again[0] == read.digest:
        ends = np.cumsum([len(said) for said in texts.values()])
        parts = np.split(again[1], ends[:-1])
        read.clusters = {key: part.mean(0) for key, part in zip(texts, parts, strict=True)}
    return read


def questions_gather(*, read: Read) -> None:
    """Put the questions that were read into clusters. Inside a scope, in one transaction."""
    clusters_hold()
    new = list(UnansweredQuestion.objects.filter(pk__in=read.ids, cluster=None).order_by("pk"))
    changed: set[uuid.UUID] = set()
    for language in dict.fromkeys(each.language for each in new):
        asked = [each for each in new if each.language == language]
        legible = [each for each in asked if each.pk in read.questions]
        for some in (legible, [each for each in asked if each not in legible]):
            if some:
                changed |= _gather(some, language, read)
    if UnansweredQuestion.objects.filter(cluster=None).exists():
        gather_request()
    if changed:
        clusters_count(changed)
        clusters_tell()


def clusters_hold() -> None:
    """One at a time changes which question is where; until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtext('service-clusters'), hashtext(%s))",
            [str(current_organisation_id())],
        )


def clusters_count(ids: Iterable[uuid.UUID]) -> None:
    """Count anew how many customers asked the questions of clusters, and when last; those without any go."""
    wanted = set(ids)
    customer = Coalesce("conversation__visitor", "pk")
    rows = (
        UnansweredQuestion.objects.filter(cluster__in=wanted)
        .order_by()
        .values("cluster")
        .annotate(size=Count(customer, distinct=True), last=Max("created_at"))
    )
    counts = {row["cluster"]: (row["size"], row["last"]) for row in rows}
    for cluster in UnansweredCluster.objects.filter(pk__in=wanted):
        cluster.size, cluster.last_asked_at = counts.get(cluster.pk, (0, cluster.last_asked_at))
        if not cluster.size and cluster.state == State.OPEN:
            cluster.delete()
        else:
            cluster.save(update_fields=["size", "last_asked_at", "updated_at"])


def clusters_tell() -> None:
    """Tell the open pages; last in a transaction."""
    count = UnansweredCluster.objects.filter(state=State.OPEN).count()
    event_append(STREAM, "clusters.changed", {"open": count})


def _clusters(languages: Iterable[str]) -> list[UnansweredCluster]:
    """Those that new questions are compared with: first what people have put as it is, then by age."""
    rows = UnansweredCluster.objects.filter(language__in=languages)
    found = list(rows.order_by(F("last_asked_at").desc(nulls_last=True), "pk")[:MOST_CLUSTERS])
    return sorted(found, key=lambda each: (not _is_fixed(each), each.pk))


def _is_fixed(cluster: UnansweredCluster) -> bool:
    return cluster.kept or cluster.state != State.OPEN


def _texts(clusters: Sequence[UnansweredCluster]) -> dict[uuid.UUID, list[str]]:
    """The newest questions of each cluster that has any."""
    found: defaultdict[uuid.UUID, list[str]] = defaultdict(list)
    rows = UnansweredQuestion.objects.filter(cluster__in=clusters).order_by("-pk")
    for cluster_id, text in rows.values_list("cluster", "text").iterator(chunk_size=2000):
        if len(found[cluster_id]) < _MEMBERS:
            found[cluster_id].append(text)
    return dict(found)


def _gather(new: Sequence[UnansweredQuestion], language: str, read: Read) -> set[uuid.UUID]:
    """Put new questions of one language into clusters; ids of those that have changed.

    With meaning where the encoder has read the questions, and then beside clusters that it has read as well; else by
    words.
    """
    by_meaning = new[0].pk in read.questions
    clusters = [
        each for each in _clusters([language]) if not by_meaning or _mean_of(each, read) is not None
    ]
    texts = _texts(clusters)
    known = [each for each in clusters if each.pk in texts]
    weights = word_weights([*chain.from_iterable(texts.values()), *(each.text for each in new)])
    words = [word_vectors(texts[each.pk], weights).mean(0, keepdims=True) for each in known]
    words.append(word_vectors([each.text for each in new], weights))
    meanings = None
    if by_meaning:
        means = [mean for each in known if (mean := _mean_of(each, read)) is not None]
        meanings = np.stack(means + [read.questions[each.pk] for each in new])
    vectors = likeness_vectors(np.vstack(words), meanings)
    counts = _counts(known)
    sizes = [*(counts[each.pk] for each in known), *([1] * len(new))]
    places = gather(
        vectors,
        sizes=sizes,
        fixed=sum(map(_is_fixed, known)),
        alike=ALIKE if by_meaning else ALIKE_BY_WORDS,
    )
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for member, place in enumerate(places):
        groups[place].append(member)
    changed = set()
    for place, members in groups.items():
        if members == [place] and place < len(known):
            continue
        asked = [member for member in members if member >= len(known)]
        joined = [known[member] for member in members if member < len(known) and member != place]
        if place < len(known):
            cluster = known[place]
        else:
            # Called by the question that is most like the others.
            nearest = asked[int((vectors[asked] @ vectors[asked].mean(0)).argmax())]
            title = new[nearest - len(known)].text[:300]
            cluster = UnansweredCluster.objects.create(title=title, language=language)
        if meanings is not None:
            mean = np.average(meanings[members], axis=0, weights=[sizes[each] for each in members])
            cluster.centroid, cluster.model_digest = mean.tolist(), read.digest
        _put(cluster, [new[member - len(known)] for member in asked], joined)
        changed.add(cluster.pk)
    return changed


def _mean_of(cluster: UnansweredCluster, read: Read) -> Vectors | None:
    """Of its questions' vectors by the encoder of now."""
    if cluster.model_digest == read.digest and cluster.centroid:
        return np.asarray(cluster.centroid, np.float32)
    return read.clusters.get(cluster.pk)


def _put(
    cluster: UnansweredCluster,
    questions: Sequence[UnansweredQuestion],
    joined: Sequence[UnansweredCluster],
) -> None:
    asked = UnansweredQuestion.objects
    asked.filter(pk__in=[each.pk for each in questions]).update(cluster=cluster)
    asked.filter(cluster__in=joined).update(cluster=cluster)
    UnansweredCluster.objects.filter(pk__in=[each.pk for each in joined]).delete()
    newest = max((each.created_at for each in questions), default=None)
    if cluster.state == State.ANSWERED and newest is not None and _in_vain(cluster, newest):
        # Visitors are answered with it, and still it was not found: somebody should look again.
        cluster.state, cluster.kept = State.OPEN, True
    cluster.save()


def _in_vain(cluster: UnansweredCluster, asked_at: datetime) -> bool:
    """Whether a question was asked after all that the cluster's answer says had been published."""
    answer = cluster.answer
    if answer is None or not answer.live or answer.questions != answer.live_questions:
        return False
    key = str(answer.pk)
    released = Release.objects.filter(
        Q(changes__answers__0__contains=[key]) | Q(changes__answers__1__contains=[key])
    )
    last = released.order_by("-number").values_list("created_at", flat=True).first()
    return last is not None and asked_at > last


def _counts(clusters: Sequence[UnansweredCluster]) -> dict[uuid.UUID, int]:
    rows = UnansweredQuestion.objects.filter(cluster__in=clusters).order_by().values("cluster")
    return {row["cluster"]: row["n"] for row in rows.annotate(n=Count("pk"))}
