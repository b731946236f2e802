"""Has what a model is asked moved away from what it was made for?

A reference sample is summarised once; afterwards a window of live rows is a count and a vector of sums, so windows are
bounded, can be made on several machines and are merged by addition. Five signals are compared with the reference:

========== ===================================== ================================================================
signal     of each row                           statistic of a window
========== ===================================== ================================================================
text       its embedding                         squared distance of the mean embeddings in the reference's
                                                 whitened principal components: MMD with that linear kernel, the
                                                 mean-embedding test of Chwialkowski et al. (NIPS 2015)
length     characters, in tenths of the          chi-square against the reference's shares
           reference
language   ISO 639-1 code                        the same
label      what the model answered               the same
confidence probability of the answer, in tenths  the same
========== ===================================== ================================================================

Thresholds are simulated, not looked up: windows are drawn from the reference (of categories: from the posterior
predictive with a Jeffreys prior, so that a label never seen before is rare and not impossible) together with the error
of the reference itself. A window is looked at several times while it fills. The smallest p-value over signals and looks
is compared with its own distribution over whole simulated windows (min-p, Westfall & Young 1993): of windows without
drift a share `false_alarms` is reported, whatever the number of signals and looks.

    reference = DriftReference.fit(rows)
    for verdict in DriftStream(reference).feed(live):
        if verdict.drifted: …
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

WINDOW = 500
LOOKS = (100, 200, 300, 400, 500)
# Two thirds of the five percent that are promised: the threshold itself is estimated.
FALSE_ALARMS = 0.03
DRAWS = 4000
MIN_REFERENCE = 200
MAX_REFERENCE = 5000
_COMPONENTS = 64
_TENTHS = 10
_SIGNALS = ("text", "length", "language", "label", "confidence")
# More categories than this are counted as one: a window of 500 could not tell them apart.
_MAX_CATEGORIES = 200
_OTHER = "…"


class DriftError(ValueError):
    """Rows that do not fit together or to the reference; the message says how."""


@dataclass(frozen=True)
class DriftRows:
    """What is known of rows: any signal may be absent (None), all others have one entry a row.

    `vectors` are embeddings (rows, dimensions), `lengths` numbers of characters, `confidences` lie in [0, 1].
    """

    vectors: np.ndarray | None = None
    lengths: Sequence[float] | np.ndarray | None = None
    languages: Sequence[str] | None = None
    labels: Sequence[str] | None = None
    confidences: Sequence[float] | np.ndarray | None = None

    def __post_init__(self) -> None:
        counts = {len(values) for values in self._columns() if values is not None}
        if len(counts) != 1:
            raise DriftError("every signal needs one value a row, and there is at least one signal")
        if self.vectors is not None and (
            self.vectors.ndim != 2 or not np.isfinite(self.vectors).all()
        ):
            raise DriftError("vectors: finite numbers in the shape (rows, dimensions)")

    def _columns(self) -> tuple[Any, ...]:
        return (self.vectors, self.lengths, self.languages, self.labels, self.confidences)

    def __len__(self) -> int:
        return next(len(values) for values in self._columns() if values is not None)

    def __getitem__(self, part: slice | np.ndarray) -> DriftRows:
        places = np.arange(len(self))[part]

        def of(values: Any) -> Any:
            if values is None or isinstance(values, np.ndarray):
                return None if values is None else values[places]
            return [values[place] for place in places]

        return DriftRows(*map(of, self._columns()))


@dataclass(frozen=True)
class DriftWindow:
    """Rows added up: `count` of them and `sums` of their features (float64). Merging is addition."""

    count: int
    sums: np.ndarray

    def merge(self, other: DriftWindow) -> DriftWindow:
        """Both together; associative and commutative.

        Raises:
            DriftError: they were made by different references.
        """
        if self.sums.shape != other.sums.shape:
            raise DriftError("windows of different references cannot be merged")
        return DriftWindow(self.count + other.count, self.sums + other.sums)


@dataclass(frozen=True)
class SignalVerdict:
    """One signal of a window. `p_value` is at least 1 / (draws + 1).

    `effect`: of `text` the length of the shift in standard deviations of single rows, of the others the share of rows
    that would have to change their category (total variation). `moved` names the categories that changed most, as
    (name, share in the reference, share in the window).
    """

    signal: str
    p_value: float
    effect: float
    drifted: bool
    moved: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True)
class DriftVerdict:
    """What a look at a window of `rows` rows says; `number` counts the windows of a stream from 1."""

    rows: int
    signals: tuple[SignalVerdict, ...]
    complete: bool = False
    number: int = 1

    @property
    def drifted(self) -> bool:
        """Whether any signal has drifted."""
        return any(signal.drifted for signal in self.signals)

    @property
    def p_value(self) -> float:
        """The smallest of the signals, not corrected."""
        return min(signal.p_value for signal in self.signals)


@dataclass(frozen=True)
class _Categories:
    """A signal in categories: `edges` cut numbers, else `names` are the categories; the last is any other."""

    names: tuple[str, ...]
    counts: np.ndarray
    edges: np.ndarray | None = None

    @classmethod
    def of_numbers(cls, values: np.ndarray) -> Self:
        """Tenths of the reference; values that are equal stay together."""
        edges = np.unique(np.quantile(values, np.linspace(0, 1, _TENTHS + 1)[1:-1]))
        places = np.searchsorted(edges, values, side="left")
        bounds = ["", *(f"{edge:.4g}" for edge in edges), ""]
        names = tuple(
            f"{low}–{high}" if low and high else (f"> {low}" if low else f"≤ {high}")
            for low, high in itertools.pairwise(bounds)
        )
        return cls(names, np.bincount(places, minlength=len(edges) + 1).astype(float), edges)

    @classmethod
    def of_words(cls, values: Sequence[str]) -> Self:
        """Every word that occurs, the most frequent first, and a place for all others."""
        words, counts = np.unique(np.asarray(values, dtype=str), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        kept = order[:_MAX_CATEGORIES]
        rest = float(counts[order[_MAX_CATEGORIES:]].sum())
        return cls((*words[kept].tolist(), _OTHER), np.append(counts[kept].astype(float), rest))

    @property
    def shares(self) -> np.ndarray:
        """Smoothed shares (Jeffreys), all above 0."""
        smoothed: np.ndarray = self.counts + 0.5
        shares: np.ndarray = smoothed / smoothed.sum()
        return shares

    def places(self, values: Any) -> np.ndarray:
        """The category of each value."""
        if self.edges is not None:
            return np.searchsorted(self.edges, np.asarray(values, dtype=float), side="left")
        known = {name: place for place, name in enumerate(self.names[:-1])}
        return np.array([known.get(str(value), len(known)) for value in values], dtype=int)

    def statistic(self, means: np.ndarray) -> np.ndarray:
        """Chi-square of shares, divided by the count; `means` (…, categories)."""
        shares = self.shares
        statistic: np.ndarray = ((means - shares) ** 2 / shares).sum(axis=-1)
        return statistic

    def simulate(self, steps: np.ndarray, draws: int, random: np.random.Generator) -> np.ndarray:
        """Sums of windows without drift after each step, (draws, steps, categories)."""
        shares = random.dirichlet(self.counts + 0.5, size=draws)
        added = random.multinomial(steps[None, :], shares[:, None, :])
        sums: np.ndarray = added.cumsum(axis=1)
        return sums

    def moved(self, means: np.ndarray) -> tuple[tuple[str, float, float], ...]:
        """The three categories whose share changed most."""
        before = self.counts / self.counts.sum()
        order = np.argsort(-np.abs(means - before), kind="stable")[:3]
        return tuple(
            (self.names[place], round(float(before[place]), 4), round(float(means[place]), 4))
            for place in order
            if means[place] != before[place]
        )


@dataclass(frozen=True)
class _Directions:
    """The principal components of the reference's embeddings, scaled so that each has variance 1."""

    mean: np.ndarray
    components: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> Self:
        """At most 64 components, and no more than a tenth of the rows: fewer are estimated better."""
        mean = vectors.mean(axis=0)
        covariance = np.cov(vectors - mean, rowvar=False, dtype=np.float64).reshape(len(mean), -1)
        values, axes = np.linalg.eigh(covariance)
        kept = min(_COMPONENTS, len(vectors) // 10, int((values > 1e-9 * values.max()).sum()))
        order = np.argsort(-values)[: max(1, kept)]
        if values[order[0]] <= 0:
            raise DriftError("vectors: all rows of the reference are the same")
        return cls(mean, axes[:, order] / np.sqrt(np.maximum(values[order], 1e-12)))

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Coordinates of rows, (rows, components)."""
        if vectors.shape[1] != len(self.mean):
            raise DriftError(
                f"vectors of {vectors.shape[1]} dimensions; the reference has {len(self.mean)}"
            )
        projected: np.ndarray = (vectors - self.mean) @ self.components
        return projected


@dataclass(frozen=True)
class DriftReference:
    """What windows are compared with. Made by `fit`, kept as bytes (`to_bytes`), about half a megabyte."""

    rows: int
    looks: tuple[int, ...]
    false_alarms: float
    directions: _Directions | None
    categories: Mapping[str, _Categories]
    # Simulated statistics of windows without drift, sorted: (looks, draws) by signal.
    null: Mapping[str, np.ndarray]
    critical: float = 0.0
    # Where the features of each signal lie in the sums of a window.
    places: Mapping[str, slice] = field(default_factory=dict)

    @property
    def window(self) -> int:
        """Rows of a whole window."""
        return self.looks[-1]

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that are compared."""
        return tuple(self.places)

    @classmethod
    def fit(
        cls,
        rows: DriftRows,
        *,
        looks: Sequence[int] = LOOKS,
        false_alarms: float = FALSE_ALARMS,
        draws: int = DRAWS,
        seed: int = 13,
    ) -> Self:
        """Summarise a reference sample; of more than 5,000 rows as many are drawn.

        Args:
            looks: after how many rows a window is looked at; the last is its size.
            false_alarms: share of windows without drift that may be reported.

        Raises:
            DriftError: fewer than 200 rows, or looks that do not ascend.
        """
        if len(rows) < MIN_REFERENCE:
            raise DriftError(
                f"the reference has {len(rows)} rows; it takes at least {MIN_REFERENCE}"
            )
        if not looks or list(looks) != sorted(set(looks)) or looks[0] < 1:
            raise DriftError("looks ascend and begin at 1 or later")
        random = np.random.default_rng(seed)
        if len(rows) > MAX_REFERENCE:
            rows = rows[np.sort(random.choice(len(rows), MAX_REFERENCE, replace=False))]
        categories: dict[str, _Categories] = {}
        for signal, numbers in (("length", rows.lengths), ("confidence", rows.confidences)):
            if numbers is not None:
                categories[signal] = _Categories.of_numbers(np.asarray(numbers, dtype=float))
        for signal, words in (("language", rows.languages), ("label", rows.labels)):
            if words is not None:
                categories[signal] = _Categories.of_words(words)
        directions = None if rows.vectors is None else _Directions.of(rows.vectors)
        places, start = {}, 0
        for signal in _SIGNALS:
            width = 0
            if signal in categories:
                width = len(categories[signal].names)
            elif signal == "text" and directions is not None:
                width = directions.components.shape[1]
            if width:
                places[signal], start = slice(start, start + width), start + width
        made = cls(len(rows), tuple(looks), false_alarms, directions, categories, {}, 0.0, places)
        return made._calibrated(rows, draws, random)

    def _calibrated(self, rows: DriftRows, draws: int, random: np.random.Generator) -> Self:
        """With the distribution of every statistic, and of the smallest p-value, where nothing drifts."""
        steps = np.diff(self.looks, prepend=0)
        counts = np.array(self.looks, dtype=float)
        p_values, null = [], {}
        for signal in self.signals:
            if signal == "text":
                sums = _simulated_windows(self._coordinates(rows), steps, draws, random)
            else:
                sums = self.categories[signal].simulate(steps, draws, random)
            statistics = self._statistic(signal, sums / counts[:, None]) * counts
            null[signal] = np.sort(statistics.T, axis=1).astype(np.float32)
            ranks = np.argsort(np.argsort(-statistics, axis=0, kind="stable"), axis=0)
            p_values.append((ranks + 1) / (draws + 1))
        smallest = np.min(p_values, axis=(0, 2))
        critical = float(np.quantile(smallest, self.false_alarms, method="lower"))
        return replace(self, null=null, critical=critical)

    def _coordinates(self, rows: DriftRows) -> np.ndarray:
        if self.directions is None or rows.vectors is None:
            raise DriftError("the reference has the signal text, the rows have not")
        return self.directions.project(np.asarray(rows.vectors))

    def _statistic(self, signal: str, means: np.ndarray) -> np.ndarray:
        if signal == "text":
            squared: np.ndarray = (means**2).sum(axis=-1)
            return squared
        return self.categories[signal].statistic(means)

    def _features(self, rows: DriftRows) -> np.ndarray:
        features = np.zeros((len(rows), max(place.stop for place in self.places.values())))
        given: dict[str, Any] = {
            "length": rows.lengths,
            "language": rows.languages,
            "label": rows.labels,
            "confidence": rows.confidences,
        }
        for signal, place in self.places.items():
            if signal == "text":
                features[:, place] = self._coordinates(rows)
            elif given[signal] is None:
                raise DriftError(f"the reference has the signal {signal}, the rows have not")
            else:
                chosen = place.start + self.categories[signal].places(given[signal])
                features[np.arange(len(rows)), chosen] = 1.0
        return features

    def empty(self) -> DriftWindow:
        """A window without rows."""
        return DriftWindow(0, np.zeros(max(place.stop for place in self.places.values())))

    def summarise(self, rows: DriftRows) -> DriftWindow:
        """Rows added up.

        Raises:
            DriftError: a signal of the reference is missing, or the vectors have other dimensions.
        """
        return DriftWindow(len(rows), self._features(rows).sum(axis=0))

    def judge(self, window: DriftWindow) -> DriftVerdict:
        """Compare a window with the reference; meant to be asked once at each of `looks`.

        Raises:
            DriftError: it has fewer rows than the first look.
        """
        if window.count < self.looks[0]:
            raise DriftError(
                f"a window of {window.count} rows; the first look is at {self.looks[0]}"
            )
        look = int(np.searchsorted(self.looks, window.count, side="right")) - 1
        found = []
        for signal, place in self.places.items():
            means = window.sums[place] / window.count
            statistic = float(self._statistic(signal, means)) * window.count
            null = self.null[signal][look]
            above = len(null) - int(np.searchsorted(null, np.float32(statistic), side="left"))
            p_value = (above + 1) / (len(null) + 1)
            if signal == "text":
                # Less what chance alone would give.
                expected = len(means) * (1 / window.count + 1 / self.rows)
                effect = np.sqrt(max(0.0, float((means**2).sum()) - expected))
            else:
                category = self.categories[signal]
                effect = 0.5 * np.abs(means - category.counts / category.counts.sum()).sum()
            found.append(
                SignalVerdict(
                    signal,
                    p_value,
                    round(float(effect), 4),
                    p_value <= self.critical,
                    () if signal == "text" else self.categories[signal].moved(means),
                )
            )
        return DriftVerdict(window.count, tuple(found), complete=window.count >= self.window)

    def outstanding(self, rows: DriftRows, window: DriftWindow, count: int = 5) -> list[int]:
        """Places of the rows that lie farthest in the direction in which the texts of `window` moved."""
        if self.directions is None or rows.vectors is None or not window.count:
            return []
        shift = window.sums[self.places["text"]] / window.count
        along = self.directions.project(rows.vectors) @ shift
        return [int(place) for place in np.argsort(-along, kind="stable")[:count]]

    def to_bytes(self) -> bytes:
        """As an .npz without pickled objects."""
        arrays: dict[str, np.ndarray] = {
            f"null_{signal}": values for signal, values in self.null.items()
        }
        for signal, category in self.categories.items():
            arrays[f"counts_{signal}"] = category.counts
            if category.edges is not None:
                arrays[f"edges_{signal}"] = category.edges
        if self.directions is not None:
            arrays["mean"] = self.directions.mean.astype(np.float32)
            arrays["components"] = self.directions.components.astype(np.float32)
        head = {
            "rows": self.rows,
            "looks": self.looks,
            "false_alarms": self.false_alarms,
            "critical": self.critical,
            "places": {signal: [place.start, place.stop] for signal, place in self.places.items()},
            "names": {signal: category.names for signal, category in self.categories.items()},
        }
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` made.

        Raises:
            DriftError: it is not that.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                head = json.loads(bytes(arrays["head"]))
                categories = {
                    signal: _Categories(
                        tuple(names),
                        arrays[f"counts_{signal}"],
                        arrays.get(f"edges_{signal}"),
                    )
                    for signal, names in head["names"].items()
                }
                directions = None
                if "mean" in arrays:
                    directions = _Directions(arrays["mean"], arrays["components"])
                return cls(
                    head["rows"],
                    tuple(head["looks"]),
                    head["false_alarms"],
                    directions,
                    categories,
                    {signal: arrays[f"null_{signal}"] for signal in head["places"]},
                    head["critical"],
                    {signal: slice(*place) for signal, place in head["places"].items()},
                )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DriftError(f"not a drift reference: {error}") from error


def _simulated_windows(
    coordinates: np.ndarray, steps: np.ndarray, draws: int, random: np.random.Generator
) -> np.ndarray:
    """Sums after each step of bootstrapped windows, with the error of the reference's own mean.

    `coordinates` (rows, components) have variance 1 in each component. Returns (draws, steps, components).
    """
    starts = np.cumsum(steps) - steps
    sums = np.empty((draws, len(steps), coordinates.shape[1]))
    for draw in range(draws):
        drawn = coordinates[random.integers(len(coordinates), size=int(steps.sum()))]
        sums[draw] = np.add.reduceat(drawn, starts, axis=0)
    error = random.normal(size=(draws, 1, coordinates.shape[1])) / np.sqrt(len(coordinates))
    found: np.ndarray = sums.cumsum(axis=1) + error * np.cumsum(steps)[None, :, None]
    return found


class DriftStream:
    """Rows one after the other, in windows that follow each other; keeps one window's sums and nothing else."""

    def __init__(self, reference: DriftReference) -> None:
        self.reference = reference
        self.window = reference.empty()
        self.number = 1

    def feed(self, rows: DriftRows) -> Iterator[DriftVerdict]:
        """Take rows in and yield a verdict at every look that they reach."""
        start = 0
        while start < len(rows):
            reached = self.window.count
            look = next(each for each in self.reference.looks if each > reached)
            part = rows[start : start + look - reached]
            self.window = self.window.merge(self.reference.summarise(part))
            start += len(part)
            if self.window.count < look:
                return
            verdict = replace(self.reference.judge(self.window), number=self.number)
            if verdict.complete:
                self.window, self.number = self.reference.empty(), self.number + 1
            yield verdict
