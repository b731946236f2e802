"""What the inference process counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServingMetrics:
    """One engine's counters in a registry of their own."""

    def __init__(self, *, queue_depth: Callable[[], int], loaded: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        prefix = "rootstock_inference"
        Gauge(
            f"{prefix}_queue_depth", "Texts accepted and not answered yet.", registry=registry
        ).set_function(queue_depth)
        Gauge(f"{prefix}_models_loaded", "Models in memory.", registry=registry).set_function(
            loaded
        )
        self.batch_texts = Histogram(
            f"{prefix}_batch_texts", "Texts in a batch.", buckets=_TEXTS, registry=registry
        )
        self.batch_seconds = Histogram(
            f"{prefix}_batch_seconds", "Time of a batch.", buckets=_SECONDS, registry=registry
        )
        self.request_seconds = Histogram(
            f"{prefix}_request_seconds",
            "Time from a classify call's arrival to its answer.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.tokens = Counter(
            f"{prefix}_tokens",
            "Tokens computed: real ones, and padding.",
            ["kind"],
            registry=registry,
        )
        self.texts = Counter(
            f"{prefix}_texts", "Texts answered, by model.", ["model"], registry=registry
        )
        self.errors = Counter(
            f"{prefix}_errors", "Errors by model and code.", ["model", "code"], registry=registry
        )

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self._registry)
