"""The data sets of the benchmark as files of rows, made from ``ROOTSTOCK_DATA``; nothing of them is kept."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import re
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_core.data import read_rows
from rootstock.launch.bootstrap import ROOT
from rootstock.modelhub.grouping import Groups, join_near_duplicates

Row = dict[str, Any]
_FOLDS = 5
# Estimated Jaccard similarity from which two sentences stay in one part.
_NEAR = 0.8


@dataclass(frozen=True)
class Split:
    """Rows to train on, to choose by and to report on; ``outside`` fit no label (out-of-scope tests)."""

    train: Sequence[Row]
    validation: Sequence[Row]
    test: Sequence[Row]
    outside: Sequence[Row] = ()


def data_directory() -> Path:
    """Where the data sets are; raises FileNotFoundError saying which setting names it."""
    path = Path(os.environ.get("ROOTSTOCK_DATA", ROOT.parent / "shared/data"))
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path}: no such directory; ROOTSTOCK_DATA names the data sets' one"
        )
    return path


def load(name: str, **options: Any) -> Split:
    """The data set called ``name``; its options are those of its function below."""
    return _LOADERS[name](**options)


def write(split: Split, directory: Path) -> None:
    """train.jsonl, validation.jsonl, test.jsonl and, where there are such rows, outside.jsonl."""
    for part in ("train", "validation", "test", "outside"):
        rows = getattr(split, part)
        if rows:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (directory / f"{part}.jsonl").write_text(text, encoding="utf-8")


def write_texts(rows: Sequence[Row], path: Path) -> None:
    """A file of the rows' texts without their labels."""
    text = "".join(json.dumps({"text": row["text"]}, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def banking77(*, shots: int = 0, seed: int = 0, validation: float = 0.0) -> Split:
    """The official split; with ``shots`` so many training rows of each label. The validation part is taken from the
    training rows (without ``validation`` a hundred rows stand in for it that are trained on as well: nothing is then
    chosen by them)."""
    parts = {}
    for part in ("train", "test"):
        path = data_directory() / f"banking77/{part}.csv.gz"
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            parts[part] = [
                {"text": row["text"], "label": row["category"]} for row in csv.DictReader(file)
            ]
    train = parts["train"]
    if shots:
        train = few(train, shots, seed)
    train, held_out = hold_out(train, validation, seed)
    return Split(train, held_out, parts["test"])


def banking77_others(split: Split) -> list[Row]:
    """The rows of the official training part that ``split`` does not train on, each text once."""
    used = {row["text"] for row in split.train}
    found = {row["text"]: row for row in banking77().train if row["text"] not in used}
    return list(found.values())


def banking77_stages(*, stage: int) -> Split:
    """Classes 1-26, 27-52 and 53-77 in alphabetical order as stages 0, 1 and 2; the test part has all classes up to
    the stage's."""
    whole = banking77()
    labels = sorted({row["label"] for row in whole.train})
    cuts = [0, 26, 52, 77]
    own, seen = set(labels[cuts[stage] : cuts[stage + 1]]), set(labels[: cuts[stage + 1]])
    train = [row for row in whole.train if row["label"] in own]
    return Split(train, train[:100], [row for row in whole.test if row["label"] in seen])


def clinc150() -> Split:
    """data_full: the 150 intents; ``outside`` are the 1,000 out-of-scope test queries."""
    parts = _clinc150()

    def rows(part: str) -> list[Row]:
        return [{"text": text, "label": label} for text, label in parts[part]]

    return Split(rows("train"), rows("val"), rows("test"), rows("oos_test"))


def clinc150_outside() -> list[Row]:
    """The 200 out-of-scope queries of the training and validation parts."""
    parts = _clinc150()
    return [{"text": text} for part in ("oos_train", "oos_val") for text, _ in parts[part]]


def _clinc150() -> dict[str, list[list[str]]]:
    with gzip.open(data_directory() / "clinc150/data_full.json.gz", "rt", encoding="utf-8") as file:
        parts: dict[str, list[list[str]]] = json.load(file)
    return parts


def phrasebank(*, agreement: str = "50Agree", fold: int = 0) -> Split:
    """One of five folds; copies and near copies of a sentence are in one fold. A tenth of the training groups is the
    validation part."""
    path = data_directory() / f"financial_phrasebank/Sentences_{agreement}.txt.gz"
    raw = gzip.decompress(path.read_bytes())
    encoding = "utf-8" if agreement == "AllAgree" else "latin-1"
    rows = []
    for line in raw.decode(encoding, errors="replace").splitlines():
        text, _, label = line.rpartition("@")
        if text.strip():
            rows.append({"text": text.strip(), "label": label.strip()})
    groups = Groups()
    for place in range(len(rows)):
        groups.add(place)
    join_near_duplicates(groups, [row["text"] for row in rows], threshold=_NEAR)
    members: dict[int, list[Row]] = defaultdict(list)
    for place, row in enumerate(rows):
        members[groups.find(place)].append(row)
    parts: list[list[Row]] = [[] for _ in range(_FOLDS * 10)]
    by_label: dict[str, list[list[Row]]] = defaultdict(list)
    for rows_of_group in members.values():
        by_label[rows_of_group[0]["label"]].append(rows_of_group)
    generator = random.Random(0)
    place = 0
    for label in sorted(by_label):
        generator.shuffle(by_label[label])
        for rows_of_group in by_label[label]:
            parts[place % len(parts)] += rows_of_group
            place += 1
    test, validation, train = [], [], []
    for number, part in enumerate(parts):
        if number % _FOLDS == fold:
            test += part
        elif number // _FOLDS == 0:
            validation += part
        else:
            train += part
    return Split(train, validation, test)


def bbc(*, seed: int = 0) -> Split:
    """BBC News, five topics, 70/10/20 by chance."""
    rows = []
    with tarfile.open(data_directory() / "bbc_news/bbc.tar.xz") as archive:
        for member in sorted(archive.getmembers(), key=lambda each: each.name):
            parts = Path(member.name).parts
            if member.isfile() and member.name.endswith(".txt"):
                file = archive.extractfile(member)
                assert file is not None  # noqa: S101  # a file has contents
                text = file.read().decode("latin-1")
                rows.append({"text": " ".join(text.split()), "label": parts[-2]})
    return _by_chance([row for row in rows if row["label"] != "bbc"], seed)


def reuters(*, seed: int = 0) -> Split:
    """Reuters-21578, ModApte split, documents with exactly one of the ten most frequent topics; a tenth of the
    training part is the validation part."""
    train: list[Row] = []
    test: list[Row] = []
    with tarfile.open(data_directory() / "reuters21578/reuters21578.tar.xz") as archive:
        for member in archive.getmembers():
            if not member.name.endswith(".sgm"):
                continue
            file = archive.extractfile(member)
            assert file is not None  # noqa: S101  # a file has contents
            for document in re.findall(
                r"<REUTERS(.*?)</REUTERS>", file.read().decode("latin-1"), flags=re.DOTALL
            ):
                row = _reuters_row(document)
                if row is not None:
                    (train if 'LEWISSPLIT="TRAIN"' in document else test).append(row)
    train, validation = hold_out(train, 0.1, seed)
    return Split(train, validation, test)


def wnut17() -> Split:
    """WNUT-17, its train, dev and annotated test sentences."""
    directory = data_directory() / "wnut17"
    parts = {}
    with tempfile.TemporaryDirectory() as folder:
        for part, name in (
            ("train", "wnut17train.conll.gz"),
            ("validation", "emerging.dev.conll"),
            ("test", "emerging.test.annotated.gz"),
        ):
            raw = (directory / name).read_bytes()
            path = Path(folder) / f"{part}.conll"
            path.write_bytes(gzip.decompress(raw) if name.endswith(".gz") else raw)
            parts[part] = [row.content for row in read_rows(path, "token-classification")]
    return Split(parts["train"], parts["validation"], parts["test"])


_FINER_TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")


def finer_ord() -> Split:
    """FiNER-ORD, a row for each document."""
    parts = []
    for part in ("train", "val", "test"):
        path = data_directory() / f"finer_ord/{part}_gold_data.csv.gz"
        documents: dict[str, Row] = {}
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                document = documents.setdefault(row["doc_idx"], {"tokens": [], "tags": []})
                document["tokens"].append(row["gold_token"])
                document["tags"].append(_FINER_TAGS[int(row["gold_label"])])
        parts.append(list(documents.values()))
    return Split(*parts)


def unpack_cifar10(directory: Path) -> None:
    """train/ and test/ with a folder of images for each of the ten classes; 20,000 and 10,000 images."""
    archive = data_directory() / "cifar10_jpg/cifar10_train2000pc_test1000pc.tar.xz"
    with tarfile.open(archive) as file:
        file.extractall(directory, filter="data")


def few(rows: Sequence[Row], shots: int, seed: int) -> list[Row]:
    """``shots`` rows of each label, by chance."""
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row["label"]].append(row)
    generator = random.Random(seed)
    return [row for label in sorted(by_label) for row in generator.sample(by_label[label], shots)]


def hold_out(rows: Sequence[Row], fraction: float, seed: int) -> tuple[list[Row], list[Row]]:
    """(rest, ``fraction`` of each label's rows); without a fraction all rows, and a hundred of them again."""
    order = list(rows)
    random.Random(seed).shuffle(order)
    if not fraction:
        return order, order[:100]
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in order:
        by_label[row["label"]].append(row)
    held_out = [
        row for own in by_label.values() for row in own[: max(1, round(len(own) * fraction))]
    ]
    chosen = {id(row) for row in held_out}
    return [row for row in order if id(row) not in chosen], held_out


def _by_chance(rows: list[Row], seed: int) -> Split:
    rest, test = hold_out(rows, 0.2, seed)
    train, validation = hold_out(rest, 0.125, seed)
    return Split(train, validation, test)


_TOPICS = {
    "earn", "acq", "money-fx", "grain", "crude", "trade", "interest", "ship", "wheat", "corn",
}  # fmt: skip


def _reuters_row(document: str) -> Row | None:
    split = re.search(r'LEWISSPLIT="(TRAIN|TEST)"', document)
    if split is None or 'TOPICS="YES"' not in document:
        return None
    found = re.search(r"<TOPICS>(.*?)</TOPICS>", document, flags=re.DOTALL)
    topics = set(re.findall(r"<D>(.*?)</D>", found.group(1))) & _TOPICS if found else set()
    if len(topics) != 1:
        return None
    texts = [
        match.group(1)
        for tag in ("TITLE", "BODY")
        if (match := re.search(rf"<{tag}>(.*?)</{tag}>", document, flags=re.DOTALL))
    ]
    text = " ".join(" ".join(texts).replace("&lt;", "<").split())
    return {"text": text, "label": topics.pop()} if text else None


_LOADERS: dict[str, Callable[..., Split]] = {
    "banking77": banking77,
    "banking77-stages": banking77_stages,
    "bbc": bbc,
    "clinc150": clinc150,
    "finer-ord": finer_ord,
    "phrasebank": phrasebank,
    "reuters": reuters,
    "wnut17": wnut17,
}
