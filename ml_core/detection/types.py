"""What goes into and comes out of the surge detector."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

_STATE_VERSION = 2

# The detectors there are (`counters.DETECTORS`), with the strength from which a window is a surge by default, each in
# its own unit: -log10 of a probability, standard deviations, critical values of the test. Measured (`script/bench
# finance`): for bad news, where the share speaks as well, those that find most injected surges while a calm month with
# a daily season raises one false alarm at most; for volume, where the number speaks alone, the best by NAB's score.
THRESHOLDS = {
    "negative-binomial": 3.0,
    "poisson": 4.0,
    "ewma-z": 3.0,
    "cusum": 16.0,
    "s-h-esd": 1.1,
}
VOLUME_THRESHOLDS = {
    "negative-binomial": 3.5,
    "poisson": 32.0,
    "ewma-z": 3.5,
    "cusum": 12.0,
    "s-h-esd": 1.6,
}


class Measure(StrEnum):
    """What a rule looks at."""

    NEGATIVES = "negatives"
    """The number of negative stories and their share: both must be unusual."""
    VOLUME = "volume"
    """The number of all stories."""
    SHARE = "share"
    """The share of negative stories, where there are enough stories."""


class Phase(StrEnum):
    """Where a detector stands. An alert is open in ``FIRING`` and ``RECOVERING``."""

    LEARNING = "learning"
    NORMAL = "normal"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


class Reason(StrEnum):
    """Why the verdict is what it is; the numbers for the sentence are fields of the verdict."""

    LEARNING = "learning"
    """The baseline has seen too little; nothing is judged."""
    TOO_FEW = "too_few"
    """Fewer stories or negative stories than a surge needs, whatever their share."""
    COUNT_NORMAL = "count_normal"
    """The number of stories that count is within what the baseline explains."""
    SHARE_NORMAL = "share_normal"
    """More negative stories, but no larger share of them: there is more news of every kind."""
    SURGE = "surge"
    """Everything that the measure looks at is far above its baseline."""
    ELEVATED = "elevated"
    """An open alert: below the threshold that raises it, not yet below the one that clears it."""
    COOLING = "cooling"
    """An open alert: below the threshold that clears it."""


class LateBucket(ValueError):
    """A bucket not newer than the state. Nothing was changed: rebuild from the stored buckets."""


@dataclass(frozen=True, slots=True)
class SurgeConfig:
    """Settings of one detector. Durations are numbers of buckets, so they hold for any clock.

    A surge needs all of: enough stories, a negative count that the baseline does not explain, a
    share of negative stories that the baseline does not explain, and both by a factor that a reader
    would call a change. Significance alone would alarm on tiny shifts of a busy topic, factors
    alone on three stories of a quiet one.
    """

    measure: Measure = Measure.NEGATIVES
    detector: str = "negative-binomial"
    """The model of the count, by its name in ``DETECTORS``."""
    bucket_seconds: float = 60.0
    """Length of a bucket. Only gaps and alignment depend on it."""

    window: int = 15
    """Buckets judged together. Shorter reacts sooner, longer sees weaker surges."""
    minimum_total: int = 5
    minimum_negative: int = 5
    """In the window; below them never a surge. Five stories are the least that a person would look
    up from work for, and with fewer the share means nothing."""

    threshold: float = THRESHOLDS["negative-binomial"]
    """Strength of the count in the detector's own unit. Of the tails -log10 of the probability: 3 is one window in
    1,000 by chance, before anything is said of the share."""
    share_significance: float = 2.0
    """-log10 of the tail probability of the negative share. Lower than that of the count, because
    the share must hold in the same window, and small windows cannot reach more."""
    count_factor: float = 2.0
    """The count must be at least this multiple of the expected one."""
    share_gain: float = 0.15
    """The share must exceed the baseline's by this much (absolute)."""

    overdispersion: float = 0.1
    """Variance of the true rate around the baseline, relative to its square: 0.1 lets the hour of
    the day and the news agenda move the rate by about a third without a surprise."""
    share_concentration: float = 40.0
    """How firmly the baseline share is believed: as if it had been seen on that many stories at
    most, because the mix of the news drifts."""

    learned_spread: float = 0.0
    """How much of the spread that was seen around the baseline counts as usual: 0 none, 1 all of it."""
    season: bool = False
    """Whether the hour of the day and the day of the week are learned."""
    season_half_life: float = 20160.0
    slack: float = 1.0
    """Standard deviations that CUSUM lets pass unadded: half of the rise that it should see."""
    history: int = 500
    """Windows that the seasonal hybrid ESD remembers."""
    fast_half_life: float = 240.0
    slow_half_life: float = 2880.0
    """The expected rate is the larger of two exponentially weighted means: the fast one follows the
    morning, the slow one keeps a silent night from making the first story a surge."""
    learning: int = 180
    """Buckets before anything is judged."""
    clip: float = 4.0
    """A bucket counts for the baseline at most as the mean plus this many standard deviations."""

    pending: int = 2
    """Consecutive evaluations above the thresholds before the alert is raised."""
    clear_ratio: float = 0.5
    """The score below which an alert starts to clear (1 raises it)."""
    minimum_firing: int = 5
    """Buckets that an alert stays open at least."""
    recovery: int = 5
    """Consecutive evaluations below ``clear_ratio`` before an alert clears."""
    relearn_after: int = 1440
    """An alert this old no longer keeps its buckets from the baseline: it is the new normal. With 0 no alert does."""

    def __post_init__(self) -> None:
        for name in ("window", "minimum_total", "minimum_negative", "pending", "recovery"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in (
            "bucket_seconds",
            "threshold",
            "share_significance",
            "overdispersion",
            "season_half_life",
            "share_concentration",
            "fast_half_life",
            "slow_half_life",
        ):
            if not getattr(self, name) > 0 or math.isinf(getattr(self, name)):
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.detector not in THRESHOLDS:
            raise ValueError(
                f"there is no detector {self.detector!r}; there are {', '.join(THRESHOLDS)}"
            )
        if self.measure not in tuple(Measure):
            raise ValueError(
                f"there is no measure {self.measure!r}; there are {', '.join(Measure)}"
            )
        for name in ("learned_spread", "slack"):
            if not getattr(self, name) >= 0 or math.isinf(getattr(self, name)):
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.history < 20:
            raise ValueError(f"history must be at least 20 windows, got {self.history}")
        if self.learning < self.window:
            raise ValueError(
                f"learning ({self.learning}) must be at least the window ({self.window})"
            )
        if not 0 < self.clear_ratio <= 1:
            raise ValueError(f"clear_ratio must be in (0, 1], got {self.clear_ratio}")

    @classmethod
    def for_bucket(cls, seconds: float, **changes: Any) -> Self:
        """The settings to start from for buckets of ``seconds``.

        * under 30 s, the clock of a demonstration: a window of 20 s, alerts raised after two
          evaluations and cleared within half a minute of calm, one minute of learning;
        * up to 10 minutes: a window of 15 minutes, 3 hours of learning, alerts open for at least 5
          minutes;
        * longer: windows of two buckets judged at once, two days of learning.

        ``changes`` are fields to set otherwise. Raises ValueError for impossible settings.
        """
        if not seconds > 0:
            raise ValueError(f"seconds must be positive, got {seconds}")

        def buckets(duration: float, least: int = 1) -> int:
            return max(least, math.ceil(duration / seconds))

        if seconds < 30:
            settings = cls(
                bucket_seconds=seconds,
                window=buckets(20, 2),
                fast_half_life=max(4.0, 180 / seconds),
                slow_half_life=max(16.0, 900 / seconds),
                learning=buckets(60, 3),
                minimum_firing=buckets(15),
                recovery=buckets(10),
                relearn_after=buckets(600),
            )
        elif seconds <= 600:
            settings = cls(
                bucket_seconds=seconds,
                window=buckets(900, 2),
                fast_half_life=4 * 3600 / seconds,
                slow_half_life=48 * 3600 / seconds,
                learning=buckets(3 * 3600, 18),
                minimum_firing=buckets(300),
                recovery=buckets(300),
                relearn_after=buckets(24 * 3600),
            )
        else:
            settings = cls(
                bucket_seconds=seconds,
                window=2,
                pending=1,
                fast_half_life=12.0,
                slow_half_life=168.0,
                learning=48,
                minimum_firing=1,
                recovery=2,
                relearn_after=72,
            )
        detector = str(changes.get("detector", settings.detector))
        is_volume = changes.get("measure") == Measure.VOLUME
        thresholds = VOLUME_THRESHOLDS if is_volume else THRESHOLDS
        settings = replace(
            settings,
            threshold=thresholds.get(detector, settings.threshold),
            season_half_life=14 * 86400 / seconds,
        )
        return replace(settings, **changes)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Deduplicated stories of one subject that were published in ``[start, start + bucket)``."""

    start: datetime
    total: int
    negative: int

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise ValueError(f"bucket start {self.start.isoformat()} has no time zone")
        if not 0 <= self.negative <= self.total:
            raise ValueError(
                f"bucket {self.start.isoformat()}: {self.negative} negative of {self.total} stories"
            )


@dataclass(frozen=True, slots=True)
class Mean:
    """Exponentially weighted mean per bucket; ``weight`` is the sum of weights, 1 when settled."""

    total: float = 0.0
    negative: float = 0.0
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Recent:
    """A bucket that is still in the window. ``excluded`` ones never enter the baseline."""

    total: int
    negative: int
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class SurgeState:
    """Everything a detector remembers of one subject. ``SurgeState()`` is a new one."""

    phase: Phase = Phase.LEARNING
    last_start: datetime | None = None
    """Start of the newest bucket seen."""
    since: datetime | None = None
    """Start of the bucket in which the open alert was raised, None when there is none."""
    streak: int = 0
    """Consecutive evaluations that speak for leaving the phase."""
    age: int = 0
    """Buckets since the open alert was raised."""
    seen: int = 0
    """Buckets seen, until learning is over."""
    recent: tuple[Recent, ...] = ()
    share: Mean = field(default_factory=Mean)
    """All stories and negative ones, for the usual share."""
    memory: dict[str, Any] = field(default_factory=dict)
    """What the model of the count remembers; empty before its first bucket."""

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, for a ``jsonb`` column or ``json.dumps``."""
        return {
            "version": _STATE_VERSION,
            "phase": self.phase.value,
            "last_start": self.last_start.isoformat() if self.last_start else None,
            "since": self.since.isoformat() if self.since else None,
            "streak": self.streak,
            "age": self.age,
            "seen": self.seen,
            "recent": [[r.total, r.negative, r.excluded] for r in self.recent],
            "share": [self.share.total, self.share.negative, self.share.weight],
            "memory": self.memory,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Inverse of ``to_json``. Raises ValueError that says what is wrong with ``data``."""
        if data.get("version") != _STATE_VERSION:
            raise ValueError(f"surge state of version {data.get('version')!r} cannot be read")
        try:
            return cls(
                phase=Phase(data["phase"]),
                last_start=_moment(data["last_start"]),
                since=_moment(data["since"]),
                streak=int(data["streak"]),
                age=int(data["age"]),
                seen=int(data["seen"]),
                recent=tuple(Recent(int(t), int(n), bool(e)) for t, n, e in data["recent"]),
                share=Mean(*map(float, data["share"])),
                memory=dict(data["memory"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"surge state is damaged: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the detector says after one bucket: the numbers of its window and the phase they led to.

    ``expected`` and ``observed`` are negative stories in the window; ``share`` and
    ``baseline_share`` the part of all stories that are negative. ``score`` 1 is the threshold: the
    smaller of the two significances, each divided by its own threshold. ``raised`` and ``cleared``
    are true in exactly one verdict of an alert; after a gap ``cleared`` may come with ``raised``.
    """

    start: datetime
    phase: Phase
    reason: Reason
    score: float
    expected: float
    observed: int
    total: int
    share: float
    baseline_share: float
    strength: float
    share_significance: float
    window_start: datetime
    window_end: datetime
    raised: bool = False
    cleared: bool = False
    since: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether an alert is open after this bucket."""
        return self.phase in (Phase.FIRING, Phase.RECOVERING)


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def bucket_length(config: SurgeConfig) -> timedelta:
    """The length of a bucket as a ``timedelta``."""
    return timedelta(seconds=config.bucket_seconds)
