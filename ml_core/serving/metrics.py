"""What the inference process counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ml_core.serving.protocol import PRIORITIES, ModelInfo, Priority

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
STAGES = ("tokenise", "wait", "forward", "head")
# Organisations that are counted by themselves; later ones are counted as "other".
_ORGANISATIONS = 50
OTHER = "other"


class ServingMetrics:
    """One engine's counters in a ``registry`` of their own, to which others of the process may add theirs."""

    def __init__(
        self,
        *,
        queue_depth: Callable[[Priority], int],
        memory_bytes: Callable[[], int],
        cache_bytes: Callable[[], int],
    ) -> None:
        self.registry = registry = CollectorRegistry()
        self._organisations: set[str] = set()
        prefix = "rootstock_inference"
        depth = Gauge(
            f"{prefix}_queue_depth",
            "Inputs accepted and not answered yet.",
            ["priority"],
            registry=registry,
        )
        for priority in PRIORITIES:
            depth.labels(priority=priority).set_function(
                lambda priority=priority: queue_depth(priority)  # type: ignore[misc]
            )
        Gauge(f"{prefix}_memory_bytes", "Memory of all models.", registry=registry).set_function(
            memory_bytes
        )
        Gauge(f"{prefix}_cache_bytes", "Memory of kept answers.", registry=registry).set_function(
            cache_bytes
        )
        self.model_bytes = Gauge(
            f"{prefix}_model_bytes",
            "Memory of a loaded model alone, without an encoder that it shares.",
            ["model"],
            registry=registry,
        )
        self.batch_texts = Histogram(
            f"{prefix}_batch_texts", "Texts in a batch.", buckets=_TEXTS, registry=registry
        )
        self.batch_fill = Histogram(
            f"{prefix}_batch_fill",
            "Real tokens of a batch as a share of its budget.",
            buckets=_SHARES,
            registry=registry,
        )
        tokens = Counter(
            f"{prefix}_tokens",
            "Tokens computed: real ones, and padding.",
            ["kind"],
            registry=registry,
        )
        self.real_tokens, self.padding_tokens = (
            tokens.labels(kind=kind) for kind in ("real", "padding")
        )
        stage_seconds = Histogram(
            f"{prefix}_stage_seconds",
            "Time by stage: tokenise and head of a call, wait of a text in line, forward of a batch.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.tokenise_seconds, self.wait_seconds, self.forward_seconds, self.head_seconds = (
            stage_seconds.labels(stage=stage) for stage in STAGES
        )
        self.request_seconds = Histogram(
            f"{prefix}_request_seconds",
            "Time from a call's arrival to its answer.",
            ["priority"],
            buckets=_SECONDS,
            registry=registry,
        )
        cache = Counter(
            f"{prefix}_cache",
            "Inputs whose answer was kept (hit) or not (miss).",
            ["result"],
            registry=registry,
        )
        self.cache_hits, self.cache_misses = (
            cache.labels(result=result) for result in ("hit", "miss")
        )
        self.texts = Counter(
            f"{prefix}_texts",
            "Inputs answered, by model and organisation.",
            ["model", "organisation"],
            registry=registry,
        )
        self.errors = Counter(
            f"{prefix}_errors",
            "Errors by model, code and organisation.",
            ["model", "code", "organisation"],
            registry=registry,
        )

    def organisation(self, name: str) -> str:
        """The label for an organisation: its name for the first 50, "other" for the rest, so that the number of series
        is bounded."""
        if name in self._organisations or not name:
            return name
        if len(self._organisations) >= _ORGANISATIONS:
            return OTHER
        self._organisations.add(name)
        return name

    def error(self, code: str, *, model: str = "", organisation: str = "") -> None:
        """Count an error."""
        labels = {"model": model, "code": code, "organisation": self.organisation(organisation)}
        self.errors.labels(**labels).inc()

    def model_loaded(self, info: ModelInfo) -> None:
        """A model is in memory."""
        self.model_bytes.labels(model=info.model).set(info.memory_bytes)

    def model_unloaded(self, model: str) -> None:
        """It is not any more."""
        with suppress(KeyError):
            self.model_bytes.remove(model)

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
