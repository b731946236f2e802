"""Another model reads a collection that is searched and written: nothing is lost, no answer is of two models."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone
from vectors_helpers import (
    DIGESTS,
    FIRST,
    SECOND,
    active,
    ask,
    job_of,
    keys,
    make_collection,
    upsert,
    vector,
    work,
)

from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.jobs import runner
from rootstock.jobs import tasks as jobs_tasks
from rootstock.jobs.models import Job
from rootstock.jobs.services import job_cancel
from rootstock.modelhub.inference import InferenceUnavailable, ModelUnusable
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors import reembedding, tables
from rootstock.vectors.models import Collection, Space
from rootstock.vectors.selectors import overview
from rootstock.vectors.services import (
    ItemInput,
    collection_change_model,
    collections_follow,
    embedding_model_set,
)
from rootstock.vectors.services import spaces as space_services

WORDS = [
    "bank",
    "rate",
    "rain",
    "north",
    "phone",
    "young",
    "storm",
    "sea",
    "price",
    "share",
    "oil",
    "gold",
]
TEXTS = [f"{WORDS[n % 12]} {WORDS[n // 12 % 12]} {n}" for n in range(150)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (space_services, reembedding):
        monkeypatch.setattr(module, "BATCH", 10)


def change(organisation: Any, collection: Collection, model: str | None = SECOND) -> Job:
    with organisation_scope(organisation.pk):
        return collection_change_model(collection=collection, model=model, actor=SYSTEM)


def spaces(organisation: Any) -> dict[str, str]:
    """State by model."""
    with organisation_scope(organisation.pk):
        return dict(Space.objects.values_list("label", "state"))


def tables_of_vectors() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_class WHERE relname ~ '^vectors_space_[0-9a-f]{32}$'"
        )
        return int(cursor.fetchone()[0])


def at_batch(models: Any, number: int, act: Any) -> None:
    """Call `act` when the second model is asked for its `number`th batch of texts."""
    real, seen = models.embed_texts, []

    def embed_texts(model: str, texts: Any, **options: Any) -> Any:
        if model == f"base:{SECOND}" and len(texts) > 1:
            seen.append(1)
            if len(seen) == number:
                act()
        return real(model, texts, **options)

    models.patch(embed_texts)


def test_the_new_model_answers_once_all_is_there(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS)
    models.asked.clear()
    job = change(organisation, collection)
    assert ask(organisation, collection, "bank").model == FIRST
    work(organisation)
    done = job_of(organisation, job.pk)
    assert (done.state, done.result["embedded"]) == ("succeeded", 150)
    answer = ask(organisation, collection, TEXTS[7], k=1)
    assert (answer.model, answer.digest) == (SECOND, DIGESTS[f"base:{SECOND}"])
    assert answer.hits[0].key == "7"
    assert spaces(organisation) == {FIRST: "retired", SECOND: "active"}
    assert all(order == "batch" for model, texts, order in models.asked if len(texts) > 1)
    with organisation_scope(organisation.pk):
        assert Collection.objects.get().model == SECOND


def test_one_change_at_a_time(live_db, organisation):
    collection = make_collection(organisation, TEXTS[:3])
    change(organisation, collection)
    with pytest.raises(Problem) as error:
        change(organisation, collection)
    assert error.value.status_code == 409


class Traffic:
    """Threads that search and write until it is left; `faults` is all that was wrong with an answer."""

    def __init__(self, organisation: Any, collection: Collection) -> None:
        self.organisation, self.collection = organisation, collection
        self.faults: list[str] = []
        self.models: set[str] = set()
        self.stop = threading.Event()
        steps = (self.search, self.search, self.write)
        self.threads = [threading.Thread(target=self.repeat, args=(step,)) for step in steps]

    def __enter__(self) -> None:
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(30)

    def repeat(self, step: Any) -> None:
        number = 0
        try:
            while not self.stop.is_set():
                number += 1
                step(number)
        except Exception as error:
            self.faults.append(repr(error))
        finally:
            connections.close_all()

    def search(self, number: int) -> None:
        answer = ask(self.organisation, self.collection, "storm sea", k=5)
        self.models.add(answer.model)
        path = f"base:{answer.model}"
        if len(answer.hits) != 5:
            self.faults.append(f"{len(answer.hits)} hits")
        for hit in answer.hits:
            if abs(float(vector(path, "storm sea") @ vector(path, hit.text)) - hit.score) > 1e-4:
                self.faults.append(f"{hit.score} of {hit.text!r} is not of {answer.model}")

    def write(self, number: int) -> None:
        upsert(self.organisation, self.collection, ItemInput(f"n{number % 40}", f"oil {number}"))
        if number % 5 == 0:
            work(self.organisation, topic="vectors.embed", most=1)


def test_searching_throughout_finds_and_is_of_one_model(live_db, organisation):
    """Every score is checked against the model that the answer names."""
    collection = make_collection(organisation, TEXTS)
    traffic = Traffic(organisation, collection)
    with traffic:
        for model in (SECOND, FIRST):
            job = change(organisation, collection, model)
            while not job_of(organisation, job.pk).finished:
                work(organisation, topic="jobs.run")
    assert traffic.faults == []
    assert traffic.models == {FIRST, SECOND}
    work(organisation)
    with organisation_scope(organisation.pk):
        assert tables.count_missing(active(organisation, collection)) == 0


def test_what_is_written_meanwhile_goes_to_both(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS)

    def write() -> None:
        upsert(organisation, collection, ItemInput("late", "a whale"), ItemInput("3", "a shark"))
        with organisation_scope(organisation.pk):
            messages = list(OutboxMessage.objects.filter(topic="vectors.embed"))
        from rootstock.outbox import dispatch

        for message in messages:
            dispatch.run(message.pk, organisation.pk)
        assert keys(organisation, collection, "a whale", k=1) == ["late"], "in the former one"
        with organisation_scope(organisation.pk):
            building = Space.objects.get(state="building")
            waiting = {text.text for text in tables.texts_missing(building, after=None, limit=500)}
        assert waiting, "the job is not done"
        assert not waiting & {"a whale", "a shark"}, "in the new one as well"

    at_batch(models, 4, write)
    change(organisation, collection)
    work(organisation)
    assert active(organisation, collection).label == SECOND
    assert keys(organisation, collection, "a whale", k=1) == ["late"]
    assert keys(organisation, collection, "a shark", k=1) == ["3"]


def test_a_text_that_would_be_lost_puts_the_change_off(live_db, organisation):
    collection = make_collection(organisation, TEXTS[:20])
    with organisation_scope(organisation.pk):
        space = space_services.space_open(
            collection=collection,
            source=space_services.Source(f"base:{SECOND}", SECOND),
            digest=DIGESTS[f"base:{SECOND}"],
            dimensions=48,
            job_id=Job.objects.get().pk,
        )
        assert not space_services.space_cut_over(space=space, own=SECOND, actor=SYSTEM)
        batch = [(space, tables.texts_missing(space, after=None, limit=100))]
    filled = space_services.texts_embed(batch)
    with organisation_scope(organisation.pk):
        space_services.vectors_store(collection.pk, filled)
        assert space_services.space_cut_over(space=space, own=SECOND, actor=SYSTEM)


class Killed(BaseException):
    """The worker is gone: nothing of it writes any more."""


def test_a_killed_worker_costs_nothing_that_was_done(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS)

    def die() -> None:
        raise Killed

    at_batch(models, 8, die)
    job = change(organisation, collection)
    with pytest.raises(Killed):
        work(organisation)
    assert job_of(organisation, job.pk).state == "running"
    assert ask(organisation, collection, "bank").model == FIRST
    with organisation_scope(organisation.pk):
        Job.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    jobs_tasks.sweep()
    models.asked.clear()
    work(organisation)
    done = job_of(organisation, job.pk)
    assert (done.state, done.attempt) == ("succeeded", 2)
    assert done.result["embedded"] == 80, "seventy were there already"
    assert ask(organisation, collection, TEXTS[140], k=1).hits[0].key == "140"


def test_cancelled_it_leaves_nothing_behind(live_db, organisation, models, monkeypatch):
    monkeypatch.setattr(runner, "HEARTBEAT_SECONDS", 0.02)
    collection = make_collection(organisation, TEXTS)
    before = tables_of_vectors()
    job = change(organisation, collection)

    def cancel() -> None:
        with organisation_scope(organisation.pk):
            job_cancel(job.pk)
        threading.Event().wait(0.3)

    at_batch(models, 5, cancel)
    work(organisation)
    assert job_of(organisation, job.pk).state == "cancelled"
    assert spaces(organisation) == {FIRST: "active"}
    assert tables_of_vectors() == before
    assert ask(organisation, collection, "bank").model == FIRST


def test_a_failed_change_is_gone_on_with(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS)

    def fail() -> None:
        raise ModelUnusable("its files are damaged")

    at_batch(models, 6, fail)
    job = change(organisation, collection)
    work(organisation)
    failed = job_of(organisation, job.pk)
    assert (failed.state, failed.error) == ("failed", "its files are damaged")
    assert ask(organisation, collection, "bank").model == FIRST
    job = change(organisation, collection)
    work(organisation)
    assert job_of(organisation, job.pk).result["embedded"] == 100


def test_an_inference_process_that_is_away_is_waited_for(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS[:20])
    models.fail = [InferenceUnavailable("away", retry_after=0.01) for _ in range(3)]
    job = change(organisation, collection)
    work(organisation)
    assert job_of(organisation, job.pk).state == "succeeded"


def test_one_goes_back_in_a_moment(live_db, organisation, models):
    """The former vectors are still there: only what was written since is asked for."""
    collection = make_collection(organisation, TEXTS)
    change(organisation, collection)
    work(organisation)
    upsert(organisation, collection, ItemInput("late", "a whale"), ItemInput("3", "a shark"))
    work(organisation)
    job = change(organisation, collection, FIRST)
    work(organisation)
    assert job_of(organisation, job.pk).result["embedded"] == 2
    assert spaces(organisation) == {FIRST: "active", SECOND: "retired"}
    assert keys(organisation, collection, "a whale", k=1) == ["late"]


def test_a_retired_space_goes_when_its_time_is_up_and_not_before(live_db, organisation, settings):
    collection = make_collection(organisation, TEXTS[:20])
    before = tables_of_vectors()
    change(organisation, collection)
    work(organisation)
    assert tables_of_vectors() == before + 1
    with organisation_scope(organisation.pk):
        message = OutboxMessage.objects.get(topic="vectors.clean")
        assert message.available_at > timezone.now() + timedelta(days=6)
        retired = Space.objects.get(state="retired")
        space_services.space_clean(space_id=retired.pk)
        assert Space.objects.filter(pk=retired.pk).exists()
        Space.objects.filter(pk=retired.pk).update(retired_at=timezone.now() - timedelta(days=8))
        OutboxMessage.objects.update(available_at=timezone.now() - timedelta(seconds=1))
    work(organisation)
    assert spaces(organisation) == {SECOND: "active"}
    assert tables_of_vectors() == before


def test_a_search_that_outlives_its_space_is_asked_again(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS[:20])
    real, once = models.embed_texts, []

    def embed_texts(model: str, texts: Any, *, priority: str = "interactive", **_: Any) -> Any:
        if priority == "interactive" and not once:
            once.append(1)
            change(organisation, collection)
            work(organisation)
            with organisation_scope(organisation.pk):
                Space.objects.filter(state="retired").update(
                    retired_at=timezone.now() - timedelta(days=8)
                )
                space_services.space_clean(space_id=Space.objects.get(state="retired").pk)
        return real(model, texts, priority=priority)

    models.patch(embed_texts)
    answer = ask(organisation, collection, TEXTS[7], k=1)
    assert (answer.model, answer.hits[0].key) == (SECOND, "7")


def test_weights_that_changed_under_their_name_are_never_mixed(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS[:20])
    models.digests[f"base:{FIRST}"] = "f" * 64
    with pytest.raises(Problem) as error:
        ask(organisation, collection, "bank")
    assert error.value.status_code == 409
    change(organisation, collection, None)
    work(organisation)
    answer = ask(organisation, collection, TEXTS[7], k=1)
    assert (answer.digest, answer.hits[0].key) == ("f" * 64, "7")


def test_the_organisation_s_model_moves_the_collections_that_follow_it(live_db, organisation):
    follower = make_collection(organisation, TEXTS[:5], name="Follows", model="")
    own = make_collection(organisation, TEXTS[:5], name="Own", model=FIRST)
    with organisation_scope(organisation.pk):
        embedding_model_set(model=SECOND, actor=SYSTEM)
        assert [overview(each).outdated for each in (follower, own)] == [True, False]
        assert len(collections_follow(actor=SYSTEM)) == 1
    work(organisation)
    assert ask(organisation, follower, "bank").model == SECOND
    assert ask(organisation, own, "bank").model == FIRST
    with organisation_scope(organisation.pk):
        assert not overview(follower).outdated


@pytest.mark.parametrize("model", ["../../etc", "/etc/passwd", "deployment:nobody", "x" * 300, ""])
def test_a_model_that_is_not_to_be_had_is_refused(db, scope, model):
    with pytest.raises(Problem) as error:
        embedding_model_set(model=model, actor=SYSTEM)
    assert error.value.errors[0]["pointer"] == "/model"
