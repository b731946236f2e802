"""The labelled financial texts as rows of their tasks, made from ``ROOTSTOCK_DATA``; nothing of them is kept.

Sets without a split of their own, or with one that leaks, are split here: equal texts (without case, white space and
punctuation) are in one part.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.training.data import Row, Split, data_directory
from bench.training.data import load as load_general

_SENTIMENTS = {0: "negative", 1: "neutral", 2: "positive"}
_PAIR = re.compile(r"['\"](?P<name>.+?)['\"]\s*:\s*['\"](?P<label>positive|negative|neutral)['\"]")
# As the published comparisons of FiQA cut its scores from -1 to 1.
_NEUTRAL = 0.1


def load(name: str, *, seed: int = 0) -> Split:
    """The data set called ``name``."""
    if name in _LOADERS:
        return _LOADERS[name](seed)
    return load_general(name)


def normalised(text: str) -> str:
    """A text without case, white space and punctuation: what makes two texts the same."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return "".join(character for character in plain if character.isalnum()) or plain


def grouped_split(rows: Sequence[Row], *, seed: int, test: float = 0.2) -> Split:
    """Rows by chance, those of equal texts in one part: ``test`` to report on, a tenth of the rest to choose by."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[normalised(row.get("text") or "".join(row["tokens"]))].append(row)
    keys = sorted(groups)
    random.Random(seed).shuffle(keys)
    first = round(len(keys) * test)
    second = first + round((len(keys) - first) * 0.1)
    parts = (keys[second:], keys[first:second], keys[:first])
    return Split(*([row for key in part for row in groups[key]] for part in parts))


def sentfin(seed: int) -> Split:
    """SEntFiN 1.0: what a headline says of each company; no split is published."""
    source = _unzipped(data_directory() / "sentfin/SEntFiN.csv.gz")
    rows = []
    for line in csv.DictReader(io.StringIO(source)):
        named = [(each["name"], each["label"]) for each in _PAIR.finditer(line["Decisions"])]
        row = _marked(line["Title"], named)
        if row is not None:
            rows.append(row)
    return grouped_split(rows, seed=seed)


def finentity(seed: int) -> Split:
    """FinEntity: the entities of a paragraph are given, what it says of each is asked."""
    return grouped_split(list(_finentity_rows()), seed=seed)


def finentity_found(seed: int) -> Split:
    """FinEntity: the entities are to be found as well, as its paper counts."""
    from ml_core.models.words import split_words

    rows = []
    for row in _finentity_rows():
        words = split_words(row["text"])
        tags = ["O"] * len(words)
        for (start, end), label in zip(row["spans"], row["labels"], strict=True):
            inside = [at for at, word in enumerate(words) if word.start < end and word.end > start]
            for number, at in enumerate(inside):
                tags[at] = f"{'I' if number else 'B'}-{label}"
        rows.append({"tokens": [word.text for word in words], "tags": tags})
    return grouped_split(rows, seed=seed)


def fiqa(seed: int) -> Split:
    """FiQA 2018, task 1: its own training and test files of headlines and posts, as three classes."""
    parts: dict[str, list[Row]] = {}
    for part in ("train", "test"):
        parts[part] = []
        for kind in ("headline", "post"):
            name = f"fiqa/task1_{kind}_ABSA_{part}.json"
            path = data_directory() / name
            text = (
                path.read_text(encoding="utf-8")
                if path.is_file()
                else _unzipped(Path(f"{path}.gz"))
            )
            for entry in json.loads(text).values():
                named = [
                    (each["target"], _class(each["sentiment_score"])) for each in entry["info"]
                ]
                row = _marked(entry["sentence"], named, whole=True)
                if row is not None:
                    parts[part].append(row)
    known = {normalised(row["text"]) for row in parts["test"]}
    rest = [row for row in parts["train"] if normalised(row["text"]) not in known]
    inner = grouped_split(rest, seed=seed, test=0.1)
    return Split([*inner.train, *inner.validation], inner.test, parts["test"])


def finfe(seed: int) -> Split:
    """FinFE without its leak: both published parts together, a text once, with the label that most of its copies have.
    Texts of which as many copies say one as another are left out."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    texts: dict[str, str] = {}
    for text, label in _fincuge("finfe"):
        key = normalised(text)
        texts.setdefault(key, text)
        votes[key][_SENTIMENTS[int(label)]] += 1
    rows = []
    for key, counts in votes.items():
        (label, most), *others = counts.most_common()
        if not others or others[0][1] < most:
            rows.append({"text": texts[key], "label": label})
    return grouped_split(rows, seed=seed)


def finnl(seed: int) -> Split:
    """FinNL: kinds of Chinese financial news, several for one text; both published parts, grouped anew."""
    labels: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for text, named in _fincuge("finnl"):
        key = normalised(text)
        texts.setdefault(key, text)
        labels.setdefault(key, str(named).split())
    return grouped_split(
        [{"text": text, "labels": labels[key]} for key, text in texts.items()], seed=seed
    )


def cluener(seed: int) -> Split:
    """CLUENER: the published development part is the test part, as its own has no labels."""
    parts = {}
    for part in ("train", "dev"):
        lines = _unzipped(data_directory() / f"cluener/{part}.json.gz").splitlines()
        parts[part] = [_characters(json.loads(line)) for line in lines if line.strip()]
    known = {normalised("".join(row["tokens"])) for row in parts["dev"]}
    rest = [row for row in parts["train"] if normalised("".join(row["tokens"])) not in known]
    inner = grouped_split(rest, seed=seed, test=0.05)
    return Split([*inner.train, *inner.validation], inner.test, parts["dev"])


def _finentity_rows() -> Iterable[Row]:
    source = _unzipped(data_directory() / "finentity/FinEntity.json.gz")
    for entry in json.loads(source):
        spans = sorted(
            {(each["start"], each["end"]): each["label"] for each in entry["annotations"]}.items()
        )
        if spans:
            yield {
                "text": entry["content"],
                "spans": [list(span) for span, _ in spans],
                "labels": [label.lower() for _, label in spans],
            }


def _fincuge(name: str) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for part in ("train_list", "eval_list"):
        path = data_directory() / f"fincuge/{name}/{part}.json"
        text = path.read_text(encoding="utf-8") if path.is_file() else _unzipped(Path(f"{path}.gz"))
        rows += [(str(row[0]), row[1]) for row in json.loads(text) if str(row[0]).strip()]
    return rows


def _marked(text: str, named: Sequence[tuple[str, str]], *, whole: bool = False) -> Row | None:
    """The names where they stand in the text; one that does not is left out, or with ``whole`` asked of all of it."""
    spans: dict[tuple[int, int], str] = {}
    for name, label in named:
        at = text.lower().find(name.lower())
        if at >= 0 and name.strip():
            spans.setdefault((at, at + len(name)), label)
        elif whole:
            spans.setdefault((0, len(text)), label)
    if not spans:
        return None
    ordered = sorted(spans.items())
    return {
        "text": text,
        "spans": [list(span) for span, _ in ordered],
        "labels": [label for _, label in ordered],
    }


def _class(score: str) -> str:
    value = float(score)
    return "positive" if value >= _NEUTRAL else "negative" if value < -_NEUTRAL else "neutral"


def _characters(entry: dict[str, Any]) -> Row:
    """A CLUENER line as characters and tags; its places are inclusive."""
    text = entry["text"]
    tags = ["O"] * len(text)
    for kind, names in entry["label"].items():
        for places in names.values():
            for first, last in places:
                tags[first : last + 1] = [f"B-{kind}", *[f"I-{kind}"] * (last - first)]
    kept = [
        (character, tag)
        for character, tag in zip(text, tags, strict=True)
        if not character.isspace()
    ]
    return {"tokens": [character for character, _ in kept], "tags": [tag for _, tag in kept]}


def _unzipped(path: Path) -> str:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read()


_LOADERS: dict[str, Callable[[int], Split]] = {
    "cluener": cluener,
    "finentity": finentity,
    "finentity-found": finentity_found,
    "finfe": finfe,
    "finnl": finnl,
    "fiqa": fiqa,
    "sentfin": sentfin,
}
