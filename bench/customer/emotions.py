"""How customers feel: what a trained model tells of GoEmotions in Ekman's groups and of posts of a pandemic.

`script/bench emotions`. Rows are kept until their settings change or `--fresh` is given, like those of other trainings.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from bench.harness import Column, Progress, Row, Section, commit
from bench.training.data import Split, data_directory
from bench.training.runs import Outcome, train_and_test

# The mapping of the GoEmotions paper (Demszky et al. 2020), "neutral" beside the six.
EKMAN = {
    "anger": "anger annoyance disapproval",
    "disgust": "disgust",
    "fear": "fear nervousness",
    "joy": "joy amusement approval excitement gratitude love optimism relief pride admiration desire caring",
    "sadness": "sadness disappointment embarrassment grief remorse",
    "surprise": "surprise realization confusion curiosity",
    "neutral": "neutral",
}
_GROUP = {name: group for group, names in EKMAN.items() for name in names.split()}
_COMMON = {"head_start": "fitted", "weight_averaging": "ema", "keep": "best"}
_SEEDS = 3


@dataclass(frozen=True)
class Set:
    """A data set, the options that it is learned with, and what is asked of it."""

    title: str
    options: dict[str, Any]
    aim: str
    published: str | None


SETS = {
    "goemotions": Set(
        "GoEmotions, Ekman's groups",
        {
            "task": "multi-label-classification", "languages": ["en"], "epochs": 4, "learning_rate": 1e-4,
            "max_length": 48, "weight_averaging": "ema",
        },
        "≥ .60",
        "BERT-base .64",
    ),
    "smp2020": Set(
        "SMP2020-EWECT, virus",
        {**_COMMON, "languages": ["zh"], "epochs": 6, "learning_rate": 1.5e-4, "max_length": 128, "r_drop": 1.0},
        "≥ .62",
        None,
    ),
}  # fmt: skip
WAYS = {"goemotions": ("its rows",), "smp2020": ("its rows", "and general posts")}


def goemotions(way: str = "its rows") -> Split:
    """The official split, each comment with the groups of its emotions."""
    folder = data_directory() / "goemotions"
    names = (folder / "labels.txt").read_text(encoding="utf-8").split()
    parts = {}
    for part in ("train", "dev", "test"):
        with gzip.open(folder / f"{part}.tsv.gz", "rt", encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            parts[part] = [
                {"text": text, "labels": sorted({_GROUP[names[int(at)]] for at in ids.split(",")})}
                for text, ids, _id in rows
            ]
    return Split(parts["train"], parts["dev"], parts["test"])


def smp2020(way: str = "its rows") -> Split:
    """The official split of the posts on the pandemic. "and general posts": those of the other half of the shared
    task that are here are learned from as well."""
    train, validation, test = (
        _posts(f"virus_{part}") for part in ("train", "eval_labeled", "test_labeled")
    )
    if way != "its rows":
        general = [row for part in ("eval", "test") for row in _posts(f"usual_{part}_labeled")]
        held = {row["text"] for row in (*validation, *test)}
        train = [*train, *(row for row in general if row["text"] not in held)]
    return Split(train, validation, test)


def _posts(name: str) -> list[Row]:
    path = data_directory() / f"smp2020_ewect/{name}.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = json.load(file)
    return [
        {"text": row["content"], "label": row["label"]} for row in rows if row["content"].strip()
    ]


_READERS = {"goemotions": goemotions, "smp2020": smp2020}


def configurations() -> list[dict[str, Any]]:
    """A training each."""
    return [
        {"data": data, "way": way, "seed": seed, "options": SETS[data].options}
        for seed in range(_SEEDS)
        for data, ways in WAYS.items()
        for way in ways
    ]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """Macro-F1 and the F1 of each emotion. `rows`: of each part only so many, to see that it works."""
    data, way = configuration["data"], configuration["way"]
    split = _READERS[data](way)
    if most := configuration.get("rows"):
        split = Split(*(_some(part, most) for part in (split.train, split.validation, split.test)))
    options = {**configuration["options"], "seed": configuration["seed"]}
    outcome = train_and_test(options, split, progress)
    return [{**row, "way": way, "commit": commit()} for row in _rows(SETS[data], outcome)]


def _some(rows: Sequence[Row], most: int) -> list[Row]:
    return random.Random(0).sample(list(rows), min(most, len(rows)))


def _rows(about: Set, outcome: Outcome) -> list[Row]:
    report = outcome.report
    cost = {"seconds": outcome.seconds, "peak_mb": outcome.peak_mb}
    whole = {
        "figure": "macro F1",
        "value": report["macro_f1"],
        "aim": about.aim,
        "published": about.published,
    }
    found = [{"data": about.title, **whole, **cost}]
    for name, scores in report["per_label"].items():
        told = {key: scores[key] for key in ("precision", "recall")}
        found.append(
            {
                "data": about.title,
                "figure": name,
                "value": scores["f1"],
                "count": scores["support"],
                **told,
            }
        )
    return found


def summarise(rows: list[Row]) -> list[Row]:
    """The mean over the seeds of each figure."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["way"], row["figure"]), []).append(row)
    found = []
    for own in groups.values():
        means: Row = {
            key: fmean(row[key] for row in own)
            for key in ("value", "precision", "recall", "seconds", "peak_mb")
            if key in own[0]
        }
        found.append({**own[0], **means, "runs": len(own)})
    return found


SECTION = Section(
    name="emotions",
    title="Customer service: how customers feel",
    columns=(
        Column("data", "data"),
        Column("way", "learned from"),
        Column("figure", "F1 of"),
        Column("value", "F1", ".3f"),
        Column("precision", "precision", ".3f"),
        Column("recall", "recall", ".3f"),
        Column("count", "test rows"),
        Column("runs", "runs"),
        Column("aim", "aim"),
        Column("published", "published"),
        Column("seconds", "seconds", ".0f"),
        Column("peak_mb", "peak MB", ".0f"),
        Column("commit", "commit"),
    ),
    configurations=configurations,
    measure=measure,
    sources=(),
    summarise=summarise,
    notes=(
        "GoEmotions: comments with one or more of 27 emotions or neutral, in Ekman's six groups and neutral; each "
        "group has the threshold that is best on the validation part.",
        "SMP2020: posts with one of six emotions. Trained with the default base of the language; a mean over seeds.",
        "Published: Demszky et al. 2020, of models five times as large.",
    ),
    packages=("torch", "transformers"),
)
