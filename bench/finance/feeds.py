"""Two hundred feeds polled for twenty minutes: nothing stuck, nothing lost, nothing doubled, every fault shown.

The platform is real: beat, poller, worker, PostgreSQL, Redis. `ROOTSTOCK_BENCH_FEED_MINUTES` makes it shorter.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.finance.feed_world import FAULTS, World, feed_names, kind_of, serving
from bench.harness import Column, Progress, Row
from bench.installation import Running, installation

MINUTES = float(os.environ.get("ROOTSTOCK_BENCH_FEED_MINUTES") or 20)
INTERVAL = 60
# After the last item until every feed that can be read was read once more, at most.
SETTLE_SECONDS = 900

COLUMNS = (
    Column("feeds", "feeds", "d"),
    Column("minutes", "minutes", ".0f"),
    Column("polls", "polls", ",d"),
    Column("expected", "items", ",d"),
    Column("lost", "lost", "d"),
    Column("doubled", "doubled", "d"),
    Column("stale", "edits missed", "d"),
    Column("revised", "revised for nothing", "d"),
    Column("faults", "faults shown"),
    Column("gap_p95", "s between polls, p95", ".0f"),
    Column("gap_most", "at most", ".0f"),
    Column("stuck", "leases left over", "d"),
    Column("memory", "poller MB", ".0f"),
)
NOTES = (
    f"feeds: 200 of a local server, each asked every {INTERVAL} s (± 10 %) and with a new item every 20 s; 50 of them "
    "endless, gzip bombs, trickling, silent, HTML or cut off, which are to show their fault and are backed off from. "
    "The gap is between two polls of a feed that can always be read: how much the bad ones delay the good ones.",
)


def configurations() -> list[dict[str, Any]]:
    """One run."""
    return [{"what": "feeds", "minutes": MINUTES}]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """Serve, poll, freeze, compare."""
    minutes = float(configuration["minutes"])
    with tempfile.TemporaryDirectory(prefix="rootstock-feeds-") as folder, serving() as world:
        Path(folder).chmod(0o755)
        without = ("web", "trainer", "inference")
        more = {"ROOTSTOCK_HTTP_ALLOW_PRIVATE": "127.0.0.0/8"}
        with installation(Path(folder) / "var", progress, without=without, **more) as running:
            running.run("-m", "bench.finance.feeds", "set-up", world.url)
            started = time.time()
            _wait(minutes * 60, "polling", progress)
            world.freeze()
            _settle(world, progress)
            stored = json.loads(running.run("-m", "bench.finance.feeds", "stored").splitlines()[-1])
            row = compare(world, stored, started)
            row["memory"] = _memory(running)
    return [{**row, "minutes": minutes}]


def _wait(seconds: float, what: str, progress: Progress) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        progress(f"{what}: {left:.0f} s left")
        time.sleep(min(60.0, left))


def _settle(world: World, progress: Progress) -> None:
    until = time.monotonic() + SETTLE_SECONDS
    while (left := world.unsettled()) and time.monotonic() < until:
        progress(f"last items: {left} feeds left")
        time.sleep(10.0)
    time.sleep(15.0)  # what was asked last is being stored


def compare(world: World, stored: dict[str, Any], started: float) -> Row:
    """What should have been stored against what was."""
    expected = world.expected()
    wanted = {
        (name, guid): title for name, items in expected.items() for guid, title in items.items()
    }
    found = {(name, guid): (title, revision) for name, guid, title, revision in stored["documents"]}
    titles = [(name, title) for name, _guid, title, _revision in stored["documents"]]
    kept = [key for key in wanted if key in found]
    shown = {name: fault for name, fault in stored["faults"].items() if kind_of(name) in FAULTS}
    right = sum(fault == FAULTS[kind_of(name)] for name, fault in shown.items())
    gaps = _gaps(world, started)
    return {
        "feeds": len(feed_names()),
        "polls": sum(len(times) for times in world.asked.values()),
        "expected": len(wanted),
        "lost": len(wanted) - len(kept),
        "doubled": len(found) - len(kept) + len(titles) - len(set(titles)),
        "stale": sum(_plain(found[key][0]) != wanted[key] for key in kept),
        "revised": sum(found[key][1] > 1 for key in kept if kind_of(key[0]) != "edited"),
        "faults": f"{right} of {len(shown)}",
        "gap_p95": statistics.quantiles(gaps, n=20)[-1],
        "gap_most": max(gaps),
        "stuck": stored["stuck"],
    }


def _plain(title: str) -> str:
    return " ".join(title.split())


def _gaps(world: World, started: float) -> list[float]:
    """Seconds between two polls of a feed that can always be read."""
    good = [name for name in feed_names() if kind_of(name) not in {*FAULTS, "flapping", "moved"}]
    gaps: list[float] = []
    for name in good:
        times = [started, *sorted(world.asked[name])]
        gaps += [after - before for before, after in itertools.pairwise(times)]
    return gaps


def _memory(running: Running) -> float:
    import psutil

    return psutil.Process(running.processes["poller"].pid).memory_info().rss / 1e6


def set_up(url: str) -> None:
    """An organisation with every feed as a source; runs in the installation's environment."""
    from apps.finance_sentiment.services.sources.managing import source_create
    from rootstock.common.actors import SYSTEM
    from rootstock.tenancy.models import Organisation
    from rootstock.tenancy.scope import organisation_scope

    organisation = Organisation(name="Feeds", slug="feeds")
    with organisation_scope(organisation.pk):
        organisation.save(force_insert=True)
        for name in feed_names():
            values = {"url": f"{url}/feed/{name}", "interval_seconds": INTERVAL}
            source_create(actor=SYSTEM, name=name, kind="feed", values=values)


def stored() -> dict[str, Any]:
    """What the installation has: documents, faults by source, leases that nobody holds any more."""
    from django.utils import timezone

    from apps.finance_sentiment.models import Document, SourcePolling
    from rootstock.tenancy.rls import call_lookup
    from rootstock.tenancy.scope import organisation_scope

    (organisation,) = call_lookup("organisation_by_slug", "feeds")
    with organisation_scope(organisation["id"]):
        return {
            "documents": list(
                Document.objects.values_list("source", "external_id", "title", "revision")
            ),
            "faults": dict(SourcePolling.objects.values_list("source__name", "fault")),
            "stuck": SourcePolling.objects.filter(leased_until__lt=timezone.now()).count(),
        }


def main() -> None:
    """`set-up URL` or `stored`."""
    import django

    django.setup()
    if sys.argv[1] == "set-up":
        set_up(sys.argv[2])
    else:
        print(json.dumps(stored()))


if __name__ == "__main__":
    main()
