"""Tiny rows of matching: what belongs together shares a subject's words."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from ml_core_helpers import COMMON, WORDS

SUBJECTS = [word for label in sorted(WORDS) for word in WORDS[label]]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sentence(generator: random.Random, subject: str) -> str:
    words = generator.choices(COMMON, k=generator.randint(3, 9))
    words.insert(generator.randint(0, len(words)), subject)
    return " ".join(words)


def pair_rows(count: int, *, negatives: bool = False, seed: int = 0) -> list[dict[str, Any]]:
    """Pairs on the same subject; with ``negatives`` also a text on another one."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        subject = SUBJECTS[number % len(SUBJECTS)]
        row = {
            "anchor": sentence(generator, subject) + f" {number}",
            "positive": sentence(generator, subject),
        }
        if negatives:
            other = SUBJECTS[(number + generator.randint(1, 17)) % len(SUBJECTS)]
            row["negative"] = sentence(generator, other)
        rows.append(row)
    return rows


def scored_rows(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Pairs whose score is high on one subject, middling in one mood and low otherwise."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        place = generator.randrange(18)
        other = [place, (place // 6) * 6 + generator.randrange(6), (place + 6) % 18][number % 3]
        score = 1.0 if other == place else 0.5 if other // 6 == place // 6 else 0.0
        texts = [sentence(generator, SUBJECTS[subject]) for subject in (place, other)]
        rows.append({"anchor": texts[0], "positive": texts[1], "score": score})
    return rows


def judged_rows(queries: int, *, documents: int = 4, seed: int = 0) -> list[dict[str, Any]]:
    """One relevant document, on the query's subject, among ``documents``."""
    generator = random.Random(seed)
    rows = []
    for number in range(queries):
        subject = SUBJECTS[number % len(SUBJECTS)]
        query = f"{subject} {number}"
        others = generator.sample([each for each in SUBJECTS if each != subject], documents - 1)
        about = [(subject, 1), *((other, 0) for other in others)]
        generator.shuffle(about)
        rows += [
            {"query": query, "document": sentence(generator, each), "label": label}
            for each, label in about
        ]
    return rows


def write_items(path: Path, count: int = 18) -> Path:
    """Items whose texts are subjects."""
    generator = random.Random(3)
    return write_jsonl(
        path,
        [
            {"id": f"i{n}", "text": f"{SUBJECTS[n % 18]} {sentence(generator, SUBJECTS[n % 18])}"}
            for n in range(count)
        ],
    )


def sequence_rows(count: int, *, items: int = 18, seed: int = 0) -> list[dict[str, Any]]:
    """Walks round the items in one order, each from a start of its own."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        start, length = generator.randrange(items), generator.randint(4, 9)
        names = [f"i{(start + step) % items}" for step in range(length)]
        rows.append({"user": f"u{number}", "items": names})
    return rows
