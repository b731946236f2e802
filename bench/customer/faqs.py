"""Questions and what answers them: the FAQ sets of the measurements. All of them are for evaluation only."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable

import numpy as np

from bench.base_tasks.texts import Faq, esun_faq
from bench.training.data import data_directory

# Pairs that mean the same are questions; every second sentence of these rows can be the answer.
PAIR_ROWS = 4000


def bank_faq() -> Faq:
    """Bank FAQs in English: each distinct question finds the answer text that belongs to it."""
    path = data_directory() / "bank_faqs_en/BankFAQs.csv.gz"
    rows = csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode("utf-8-sig")))
    return _faq((row["Question"].strip(), row["Answer"].strip(), True) for row in rows)


def bq_pairs() -> Faq:
    """WeBank's customers' questions: each finds one that means the same."""
    path = data_directory() / "sim_pairs_zh/BQ_corpus/test.csv.gz"
    rows = csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode("utf-8-sig")))
    pairs = [(row["sentence1"], row["sentence2"], row["label"] == "1") for row in rows]
    return _faq(pairs[:PAIR_ROWS])


def afqmc_pairs() -> Faq:
    """Alipay's customers' questions: each finds one that means the same."""
    path = data_directory() / "sim_pairs_zh/AFQMC/dev.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode("utf-8-sig").splitlines()
    pairs = [
        (first, second, label == "1") for first, second, label in (x.split("\t") for x in lines)
    ]
    return _faq(pairs[:PAIR_ROWS])


SETS = {
    "E.SUN, zh-Hant, question → answer": esun_faq,
    "bank FAQs, en, question → answer": bank_faq,
    "BQ, zh, question → the same": bq_pairs,
    "AFQMC, zh, question → the same": afqmc_pairs,
}


def _faq(rows: Iterable[tuple[str, str, bool]]) -> Faq:
    """Distinct questions that are answered by something, and all that can be found."""
    entries: dict[str, int] = {}
    asked: dict[str, set[int]] = {}
    for question, answer, right in rows:
        place = entries.setdefault(answer, len(entries))
        if right:
            asked.setdefault(question, set()).add(place)
    relevant = np.zeros((len(asked), len(entries)), dtype=bool)
    for number, places in enumerate(asked.values()):
        relevant[number, list(places)] = True
    return Faq(list(asked), list(entries), relevant)
