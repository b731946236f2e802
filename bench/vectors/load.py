"""The processes of the benchmark: `python -m bench.vectors.load DIRECTORY CONFIGURATION`, and its worker."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import django
import numpy as np

django.setup()

from django.db import connections  # noqa: E402

from bench.vectors import QUERIES, WRITTEN  # noqa: E402
from rootstock.common.actors import SYSTEM  # noqa: E402
from rootstock.common.ids import uuid7  # noqa: E402
from rootstock.jobs.models import Job  # noqa: E402
from rootstock.outbox import dispatch  # noqa: E402
from rootstock.outbox.models import OutboxMessage  # noqa: E402
from rootstock.tenancy.models import Organisation  # noqa: E402
from rootstock.tenancy.scope import organisation_scope  # noqa: E402
from rootstock.vectors.models import Collection  # noqa: E402
from rootstock.vectors.searching import Answer, search  # noqa: E402
from rootstock.vectors.selectors import overview, running_job  # noqa: E402
from rootstock.vectors.services import (  # noqa: E402
    ItemInput,
    collection_change_model,
    collection_create,
    items_upsert,
)

FIRST, SECOND = "packaged", "bench/projected"
TOLERANCE = 1e-4
BATCH = 1000


class Models:
    """Answers in the place of the inference process, from stored vectors."""

    def __init__(self, directory: Path) -> None:
        self.texts: list[str] = json.loads((directory / "texts.json").read_text(encoding="utf-8"))
        self.place = {text: place for place, text in enumerate(self.texts)}
        self.vectors = {
            f"base:{FIRST}": np.load(directory / "first.npy", mmap_mode="r"),
            f"base:{SECOND}": np.load(directory / "second.npy", mmap_mode="r"),
        }
        patch("rootstock.modelhub.inference.embed_by_model", self.embed).start()
        patch("rootstock.vectors.inference.base_placed", "base:{}".format).start()

    def embed(
        self, model: str, texts: Sequence[str], *, priority: str = "interactive"
    ) -> tuple[str, np.ndarray]:
        """As `modelhub.inference.embed_by_model`."""
        # A job asks for the vector of some text first, to hear of the model's digest.
        places = [self.place.get(text, 0) for text in texts]
        return hashlib.sha256(model.encode()).hexdigest(), self.vectors[model][places]

    def fits(self, answer: Answer, query: str) -> bool:
        """Whether every score is that of the model which the answer names."""
        vectors = self.vectors[f"base:{answer.model}"]
        wanted = vectors[[self.place[hit.text] for hit in answer.hits]] @ vectors[self.place[query]]
        given = np.asarray([hit.score for hit in answer.hits])
        return bool(np.all(np.abs(wanted - given) < TOLERANCE))


class Watch:
    """Threads that search, and what came of it."""

    def __init__(self, models: Models, collection: Collection, setting: dict[str, Any]) -> None:
        self.models, self.collection, self.setting = models, collection, setting
        self.queries = models.texts[-QUERIES:]
        self.milliseconds: list[float] = []
        self.failed: list[str] = []
        self.short = self.mixed = self.written = 0
        self.lock = threading.Lock()
        self.stop = threading.Event()

    def search(self, number: int) -> None:
        """Ask until it is over; each thread begins elsewhere."""
        setting, place = self.setting, number * 97
        try:
            while not self.stop.is_set():
                query = self.queries[place % len(self.queries)]
                place += 1
                started = time.perf_counter()
                try:
                    answer = ask(self.collection, query, setting["k"])
                except Exception as error:
                    with self.lock:
                        self.failed.append(repr(error))
                    continue
                took = 1000 * (time.perf_counter() - started)
                with self.lock:
                    self.milliseconds.append(took)
                    self.short += len(answer.hits) < setting["k"]
                    self.mixed += not self.models.fits(answer, query)
        finally:
            connections.close_all()

    def write(self, texts: Sequence[str]) -> None:
        """Write new texts, ten at a time, until it is over."""
        try:
            for start in range(0, len(texts), 10):
                if self.stop.wait(0.2):
                    return
                rows = enumerate(texts[start : start + 10], start)
                with organisation_scope(organisation_of(self.collection)):
                    items_upsert(
                        collection=self.collection,
                        items=[ItemInput(f"new{number}", text) for number, text in rows],
                    )
                self.written += len(texts[start : start + 10])
        except Exception as error:
            self.failed.append(f"writing: {error!r}")
        finally:
            connections.close_all()

    @contextmanager
    def watching(self, writes: Sequence[str] = ()) -> Iterator[None]:
        """Search meanwhile, and write these texts."""
        numbers = range(self.setting["searchers"])
        threads = [threading.Thread(target=self.search, args=(number,)) for number in numbers]
        threads.append(threading.Thread(target=self.write, args=(writes,)))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def row(self, phase: str, seconds: float) -> dict[str, Any]:
        """The figures of a phase."""
        for reason in sorted(set(self.failed))[:5]:
            print(reason, file=sys.stderr)
        p50, p95, p99 = np.percentile(self.milliseconds, [50, 95, 99])
        return {
            "phase": phase,
            "seconds": seconds,
            "searches": len(self.milliseconds) + len(self.failed),
            "failed": len(self.failed),
            "short": self.short,
            "mixed": self.mixed,
            "p50": p50,
            "p95": p95,
            "p99": p99,
            "longest": max(self.milliseconds),
        }


def ask(collection: Collection, query: str, k: int, *, exact: bool = False) -> Answer:
    """One search, as a view does it."""
    return search(organisation_of(collection), collection.pk, query, k=k, exact=exact)


def organisation_of(collection: Collection) -> uuid.UUID:
    """Whose it is."""
    return uuid.UUID(str(collection.organisation_id))


def work(organisation_id: uuid.UUID) -> None:
    """Do what is in the outbox until standard input ends, as a worker would."""
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()

    def repeat(topic: str) -> None:
        while not ended.is_set():
            with organisation_scope(organisation_id):
                messages = OutboxMessage.objects.filter(topic__startswith=topic, dead_at=None)
                due = list(messages.values_list("pk", flat=True))
            if "done" not in [dispatch.run(message, organisation_id) for message in due]:
                time.sleep(0.05)

    threads = [threading.Thread(target=repeat, args=(topic,)) for topic in ("jobs.run", "vectors.")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def worker(directory: Path, organisation_id: uuid.UUID) -> Iterator[None]:
    """A process that works on the outbox."""
    command = [sys.executable, "-m", "bench.vectors.load", str(directory), str(organisation_id)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        process.communicate()
        if process.returncode:
            raise RuntimeError(f"the worker ended with {process.returncode}")


def fill(models: Models, size: int) -> Collection:
    """A collection of the first texts, not yet embedded."""
    organisation = Organisation(name="Bench", slug=f"bench-{uuid7().hex[-8:]}")
    with organisation_scope(organisation.pk):
        organisation.save(force_insert=True)
        collection = collection_create(name="Sentences", model=FIRST, actor=SYSTEM)
    for start in range(0, size, BATCH):
        rows = enumerate(models.texts[start : min(size, start + BATCH)], start)
        with organisation_scope(organisation.pk):
            items_upsert(collection=collection, items=[ItemInput(str(n), text) for n, text in rows])
    return collection


def await_job(collection: Collection) -> Job:
    """The collection's job once it has ended, however that was."""
    while True:
        with organisation_scope(organisation_of(collection)):
            if running_job(collection.pk) is None:
                job = Job.objects.order_by("-id").first()
                if job is None or job.state != Job.State.SUCCEEDED:
                    raise RuntimeError(f"the job ended as {job and (job.state, job.error)}")
                return job
        time.sleep(0.1)


def recall(watch: Watch) -> float:
    """Share of the nearest, found by comparing every vector, that the index finds; over 100 queries."""
    found = []
    for query in watch.queries[:100]:
        exact = {
            hit.key for hit in ask(watch.collection, query, watch.setting["k"], exact=True).hits
        }
        index = {hit.key for hit in ask(watch.collection, query, watch.setting["k"]).hits}
        found.append(len(exact & index) / len(exact))
    return float(np.mean(found))


def main(directory: Path, setting: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows: the first reading, and searches before, meanwhile and after.

    Raises:
        RuntimeError: the change failed, or left a text behind.
    """
    models = Models(directory)
    size = setting["vectors"]
    collection = fill(models, size)
    organisation_id = organisation_of(collection)
    with worker(directory, organisation_id):
        job = await_job(collection)
        rate = {"seconds": job.run_seconds, "rate": size / job.run_seconds}
        rows = [{"phase": "first reading", **rate}, calm("before", models, collection, setting)]
        watch = Watch(models, collection, setting)
        started = time.monotonic()
        with watch.watching(writes=models.texts[size : size + round(size * WRITTEN)]):
            with organisation_scope(organisation_id):
                collection_change_model(collection=collection, model=SECOND, actor=SYSTEM)
            job = await_job(collection)
        row = watch.row("meanwhile", time.monotonic() - started)
        rows.append(row | {"rate": size / job.run_seconds, "written": watch.written})
        rows.append(calm("after", models, collection, setting))
    with organisation_scope(organisation_id):
        now = overview(collection)
    if now.active is None or now.active.label != SECOND or now.items != size + watch.written:
        raise RuntimeError(f"after the change: {now}")
    return rows


def calm(
    phase: str, models: Models, collection: Collection, setting: dict[str, Any]
) -> dict[str, Any]:
    """The figures of searches while nothing else goes on."""
    watch = Watch(models, collection, setting)
    started = time.monotonic()
    with watch.watching():
        time.sleep(setting["seconds"])
    return watch.row(phase, time.monotonic() - started) | {"recall": recall(watch)}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if sys.argv[2].startswith("{"):
        print(json.dumps(main(folder, json.loads(sys.argv[2]))))
    else:
        Models(folder)
        work(uuid.UUID(sys.argv[2]))
