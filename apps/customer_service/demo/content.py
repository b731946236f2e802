"""What the demonstration's shop, Juniper & Pine 青松小店, knows: answers, documents, questions to measure with."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class DemoAnswer:
    """A prepared answer; `area` is the file it stands in, `bodies` and `questions` are by language."""

    area: str
    intent: str
    title: str
    bodies: dict[str, str]
    questions: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """A question whose right answers and documents are known; with neither, nothing should be answered."""

    text: str
    intents: tuple[str, ...]
    documents: tuple[str, ...]

    @property
    def language(self) -> str:
        """ "zh" where it has a Chinese character."""
        return "zh" if any("\u4e00" <= letter <= "\u9fff" for letter in self.text) else "en"


@functools.cache
def demo_answers() -> tuple[DemoAnswer, ...]:
    """All prepared answers, by area and in the order written."""
    return tuple(
        DemoAnswer(
            area=path.stem,
            intent=row["intent"],
            title=row["title"],
            bodies={"en": row["en"], "zh": row["zh"]},
            questions={"en": row["ask_en"], "zh": row["ask_zh"]},
        )
        for path in sorted((_HERE / "answers").glob("*.toml"))
        for row in tomllib.loads(path.read_text(encoding="utf-8"))["answer"]
    )


def demo_questions() -> list[DemoQuestion]:
    """The questions that a release is measured with."""
    rows = tomllib.loads((_HERE / "questions.toml").read_text(encoding="utf-8"))["question"]
    return [
        DemoQuestion(row["text"], tuple(row.get("intents", ())), tuple(row.get("documents", ())))
        for row in rows
    ]


def demo_desk() -> dict[str, list[dict[str, Any]]]:
    """Who answers, and what they have at hand: "people", "label", "canned", "macro"."""
    rows: dict[str, list[dict[str, Any]]] = tomllib.loads(
        (_HERE / "desk.toml").read_text(encoding="utf-8")
    )
    return rows


def demo_documents() -> list[Path]:
    """The longer documents: Markdown in both languages, and a manual as PDF."""
    return sorted((_HERE / "documents").iterdir())
