"""Gauges whose value is asked for when Prometheus asks for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

from django.db.utils import Error as DatabaseError
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

Value = float | Mapping[str, float]


class _Gauges(Collector):
    """All registered gauges as one Prometheus collector."""

    def __init__(self) -> None:
        self.gauges: dict[str, tuple[str, str | None, Callable[[], Value]]] = {}

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: asking for names must not ask the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family for each gauge; one that cannot be read is left out, the others still answer."""
        for name, (doc, label, function) in self.gauges.items():
            try:
                value = function()
            except (DatabaseError, OSError):
                logger.warning("metric %s cannot be read", name, exc_info=True)
                continue
            if isinstance(value, Mapping):
                family = GaugeMetricFamily(name, doc, labels=[label or "name"])
                for key, number in value.items():
                    family.add_metric([key], number)
            else:
                family = GaugeMetricFamily(name, doc, value=value)
            yield family


_gauges = _Gauges()
REGISTRY.register(_gauges)


def register_gauge(
    name: str, doc: str, function: Callable[[], Value], *, label: str | None = None
) -> None:
    """Expose what `function` returns as the gauge `name`: a number, or numbers by the value of `label`.

    It runs outside any organisation each time /metrics is read, so it must be quick. Registering a name again
    replaces it.
    """
    _gauges.gauges[name] = (doc, label, function)
