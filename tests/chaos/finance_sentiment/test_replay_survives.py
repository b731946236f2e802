"""Workers are killed and Redis is wiped while a file is replayed: the counts come out the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.management import call_command

from apps.finance_sentiment.inference import deployed
from apps.finance_sentiment.models import Document, Story, TimeBucket
from apps.finance_sentiment.services import scoring
from apps.finance_sentiment.tasks import tick
from rootstock.outbox import dispatch
from rootstock.outbox.models import OutboxMessage
from rootstock.realtime.models import Event
from rootstock.tenancy.scope import organisation_scope

ROOT = Path(__file__).resolve().parents[3]
FAKES = ROOT / "tests" / "integration" / "finance_sentiment"
sys.path.insert(0, str(FAKES))
from finance_fakes import FakeModels  # noqa: E402

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(300)]
DOCUMENTS = 1500
KILLS = 10
# With a batch of 64 above it, ten workers cannot have read everything.
QUOTA = 30
WIPES = (4, 8)
START = datetime(2026, 3, 4, tzinfo=UTC)
SUBJECTS = ("oil", "bank", "shares", "gas", "loan", "tin")
WORDS = ("loss", "profit", "plan", "fraud", "record", "talks")


def rows() -> list[dict[str, Any]]:
    """Documents of which every third is a copy of the one before it, from another source."""
    made = []
    for number in range(DOCUMENTS):
        told = number - 1 if number % 3 == 2 else number
        title = f"{SUBJECTS[told % 6]} {WORDS[told * 5 % 6]} number {told * 7919} at {told * 104729 % 99991}"
        made.append(
            {
                "external_id": f"d{number}",
                "source": "Copy" if told != number else "Wire",
                "title": title if number % 50 else f"央行公告第{number}号",
                "published_at": (START + timedelta(seconds=20 * number)).isoformat(),
            }
        )
    return made


class Worker:
    """A real worker process that scores with rules; one that is to be killed stops after a few."""

    def __init__(self, log: Path, *, doomed: bool) -> None:
        self.log = log
        paths = [ROOT, ROOT / "platform", FAKES, Path(__file__).parent]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "rootstock.config.celery", "worker",
                 "--pool", "threads", "--concurrency", "4", "--queues", "default,ingest",
                 "--include", "finance_fakes_installed", "--without-gossip", "--without-mingle",
                 "--loglevel", "WARNING"],
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
                    "PYTHONPATH": os.pathsep.join(map(str, paths)),
                    "ROOTSTOCK_LEASE_SECONDS": "3",
                    **({"TEXTS_BEFORE_THE_KILL": str(QUOTA)} if doomed else {}),
                },
                stdout=output, stderr=subprocess.STDOUT, cwd=ROOT,
            )  # fmt: skip

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def figures(organisation: Any) -> dict[str, Any]:
    """Everything that must not depend on what happened on the way."""
    with organisation_scope(organisation.pk):
        events = Counter(
            payload["external_id"]
            for payload in Event.objects.filter(
                stream="finance.live", type="document.scored"
            ).values_list("payload", flat=True)
        )
        return {
            "documents": Counter(
                Document.objects.values_list("status", "sentiment", "unscored_reason")
            ),
            "stories": Counter(Story.objects.values_list("document_count", "sentiment")),
            "buckets": sorted(
                TimeBucket.objects.values_list(
                    "width", "start", "kind", "key", "documents", "documents_negative", "stories",
                    "stories_negative", "stories_positive", "unscored",
                )
            ),
            "events": Counter(events.values()),
        }  # fmt: skip


def pending(organisation: Any) -> int:
    with organisation_scope(organisation.pk):
        return Document.objects.filter(status="pending").count()


def test_kills_and_wipes_change_nothing_in_the_final_counts(
    live_db, make_organisation, tmp_path, monkeypatch
):
    path = tmp_path / "news.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))

    calm = make_organisation("Calm")
    fake = FakeModels()
    with monkeypatch.context() as patched:
        patched.setattr(scoring, "targets_resolve", fake.targets)
        patched.setattr(deployed, "classify", fake.classify)
        call_command("replay_documents", str(path), organisation=calm.slug)
        while pending(calm):
            batch = scoring.batch_prepare(organisation_id=calm.pk)
            with organisation_scope(calm.pk):
                scoring.batch_write(batch=batch)
    with organisation_scope(calm.pk):
        OutboxMessage.objects.all().delete()

    rough = make_organisation("Rough")
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    replay = threading.Thread(
        target=call_command,
        args=("replay_documents", str(path)),
        kwargs={"organisation": rough.slug},
    )
    replay.start()
    log = tmp_path / "worker.log"
    worker = Worker(log, doomed=True)
    deadline = time.monotonic() + 240
    kills = 0
    replay.join()
    last = pending(rough)
    try:
        while left := pending(rough):
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            dispatch.sweep()
            tick()
            time.sleep(0.4)
            if kills < KILLS and left < last:
                worker.kill()
                kills += 1
                if kills in WIPES:
                    client.flushall()
                worker = Worker(log, doomed=kills < KILLS)
                last = pending(rough)
    finally:
        worker.kill()
        client.close()
    assert kills == KILLS
    assert figures(rough) == figures(calm)
    assert figures(rough)["events"] == Counter({1: DOCUMENTS})
