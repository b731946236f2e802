"""A server asked by one client, by sixteen, and by more than it can answer."""

from __future__ import annotations

import statistics
from contextlib import AbstractContextManager
from typing import Any, cast

from bench.harness import Progress, Row
from bench.serving.hosts import HOSTS, Host
from bench.serving.load import closed_load, open_load, recovery_seconds
from bench.serving.processes import memory_mb, pinned
from bench.serving.texts import of_length, realistic

_CLIENTS = 16
_OVERLOAD = 3.0
_RECOVERY_LIMIT = 30.0


def server(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """One row a load: one client with texts of 20 tokens, 16 with texts as they come, three times what they got."""
    name, seconds, repeats = (configuration[key] for key in ("system", "seconds", "repeats"))
    short, mixed = of_length(400, 20), realistic(2000)
    with pinned() as threads:
        progress(f"{name} starts")
        with cast("AbstractContextManager[Host]", HOSTS[name](threads)) as host:
            closed_load(host.target, mixed, clients=_CLIENTS, seconds=seconds / 4)
            memory, processes = memory_mb(host.process_id)
            progress(f"{name}: 1 client")
            alone = [
                closed_load(host.target, short, clients=1, seconds=seconds) for _ in range(repeats)
            ]
            progress(f"{name}: {_CLIENTS} clients")
            several = [
                closed_load(host.target, mixed, clients=_CLIENTS, seconds=seconds)
                for _ in range(repeats)
            ]
            loaded, _ = memory_mb(host.process_id)
            saturated = statistics.median(load.rate for load in several)
            progress(f"{name}: {_OVERLOAD * saturated:.0f} requests/s")
            flood = open_load(host.target, mixed, rate=_OVERLOAD * saturated, seconds=seconds)
            normal = _median([load.milliseconds(50) for load in alone])
            after = recovery_seconds(
                host.target, short, normal=2 * (normal or 1000.0) / 1000, limit=_RECOVERY_LIMIT
            )
            recovery = None if after is None else flood.drain + after
    common = {"system": name, "start": host.start_seconds, "memory": memory}
    return [
        {
            **common,
            "what": "1 client, 20 tokens",
            "rate": statistics.median(load.rate for load in alone),
            "p50": normal,
            "p99": _median([load.milliseconds(99) for load in alone]),
            "statuses": alone[-1].statuses(),
            "note": f"{processes} processes",
        },
        {
            **common,
            "memory": loaded,
            "what": f"{_CLIENTS} clients, realistic",
            "rate": saturated,
            "p50": _median([load.milliseconds(50) for load in several]),
            "p99": _median([load.milliseconds(99) for load in several]),
            "statuses": several[-1].statuses(),
        },
        {
            **common,
            "memory": None,
            "what": f"{_OVERLOAD:g} × that, {_OVERLOAD * saturated:.0f}/s",
            "rate": flood.rate,
            "p50": flood.milliseconds(50),
            "p99": flood.milliseconds(99),
            "statuses": flood.statuses(),
            "recovery": recovery,
            "note": "" if recovery is not None else f"not normal within {_RECOVERY_LIMIT:g} s",
        },
    ]


def _median(values: list[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return statistics.median(found) if found else None
