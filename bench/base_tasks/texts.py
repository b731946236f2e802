"""The texts of the measurements. All of them are for evaluation, or the test parts of their sets; the training parts
fit linear probes and fine-tune, and never train a base."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from dataclasses import dataclass

import numpy as np

from bench.training.data import Row, Split, banking77, data_directory, hold_out


@dataclass(frozen=True)
class Faq:
    """Distinct questions, the answer texts of the entries, and which entries answer which question: booleans of shape
    (questions, entries)."""

    questions: list[str]
    entries: list[str]
    relevant: np.ndarray

    def first(self, count: int) -> Faq:
        """The first ``count`` questions, all entries."""
        return Faq(self.questions[:count], self.entries, self.relevant[:count])


@dataclass(frozen=True)
class Pairs:
    """Two texts a row and how alike they are: 0 or 1, or graded."""

    first: list[str]
    second: list[str]
    truth: np.ndarray


def esun_faq() -> Faq:
    """E.SUN bank, Traditional Chinese: 1,592 distinct questions, 617 entries. A question that several entries have is
    answered by each of them."""
    path = data_directory() / "esun_bank_faq_zh/pid_map_content.json.gz"
    content = json.loads(gzip.decompress(path.read_bytes()))
    entries = [
        " ".join(text for each in items for text in each["answers"]) for items in content.values()
    ]
    asked: dict[str, list[int]] = {}
    for place, items in enumerate(content.values()):
        for each in items:
            asked.setdefault(each["question"], []).append(place)
    relevant = np.zeros((len(asked), len(entries)), dtype=bool)
    for number, places in enumerate(asked.values()):
        relevant[number, places] = True
    return Faq(list(asked), entries, relevant)


def pairs(name: str) -> Pairs:
    """The test part of "BQ", "LCQMC" or "STS-B-zh"."""
    folder = data_directory() / "sim_pairs_zh"
    if name == "BQ":
        text = gzip.decompress((folder / "BQ_corpus/test.csv.gz").read_bytes()).decode("utf-8-sig")
        rows = [
            (row["sentence1"], row["sentence2"], row["label"])
            for row in csv.DictReader(io.StringIO(text))
        ]
    else:
        if name == "LCQMC":
            text = gzip.decompress((folder / "LCQMC/test.txt.gz").read_bytes()).decode("utf-8-sig")
        else:
            text = (folder / "Chinese-STS-B/sts-b-test.txt").read_text(encoding="utf-8-sig")
        rows = []
        for line in text.splitlines():
            first, second, truth = line.split("\t")
            rows.append((first, second, truth))
    first, second, truth = zip(*rows, strict=True)
    return Pairs(list(first), list(second), np.array([float(each) for each in truth]))


def tatoeba() -> tuple[list[str], list[str]]:
    """1,000 sentences in Chinese and the same in English."""
    folder = data_directory() / "tatoeba_bitext_test"
    chinese, english = (
        (folder / f"tatoeba.cmn-eng.{language}").read_text(encoding="utf-8").splitlines()
        for language in ("cmn", "eng")
    )
    return chinese, english


def news(count: int) -> dict[str, list[str]]:
    """The same ``count`` news sentences in both languages, from the beginning to the end of WMT19's test set."""
    path = data_directory() / "wmt_newstest_zhen/damo_mt_testsets_zh2en_news_wmt19.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    chosen = rows[:: max(1, len(rows) // count)][:count]
    return {"zh": [row[0] for row in chosen], "en": [row[1] for row in chosen]}


def chnsenticorp() -> Split:
    """Reviews, two labels, the official split."""
    parts = []
    with zipfile.ZipFile(data_directory() / "chnsenticorp/chnsenticorp.zip") as archive:
        for name in ("train", "dev", "test"):
            lines = archive.read(f"{name}.tsv").decode("utf-8-sig").splitlines()[1:]
            found = (line.split("\t", 1) for line in lines if line.strip())
            parts.append([{"text": text.strip(), "label": label} for label, text in found])
    return Split(*parts)


def tnews() -> Split:
    """FewCLUE's news titles, 15 topics: all few-shot training rows, all validation rows, the public test part."""
    parts = []
    for name in ("train_few_all", "dev_few_all", "test_public"):
        path = data_directory() / f"fewclue/tnews/{name}.json.gz"
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        parts.append([{"text": row["sentence"], "label": row["label_desc"]} for row in rows])
    return Split(*parts)


def finfe() -> Split:
    """Posts of investors, three labels; a tenth of the training part is for validation, the evaluation part for the
    test."""
    folder = data_directory() / "fincuge/finfe"
    train = _finfe_rows(gzip.decompress((folder / "train_list.json.gz").read_bytes()))
    rest, validation = hold_out(train, 0.1, 0)
    return Split(rest, validation, _finfe_rows((folder / "eval_list.json").read_bytes()))


def _finfe_rows(raw: bytes) -> list[Row]:
    names = ("negative", "neutral", "positive")
    return [
        {"text": text.strip(), "label": names[label]}
        for text, label in json.loads(raw)
        if text.strip()
    ]


SPLITS = {"ChnSentiCorp": chnsenticorp, "TNEWS": tnews, "FinFE": finfe, "BANKING77": banking77}
