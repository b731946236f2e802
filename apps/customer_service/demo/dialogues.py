"""Past dialogues of the shop, composed from `phrases.toml` and the prepared answers; a seed always gives the same ones.

A dialogue is given as rows of the form that the import of dialogues reads (docs/service_learning.md), so the
demonstration's past comes in by the same door as a customer's own.
"""

from __future__ import annotations

import functools
import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from apps.customer_service.demo.content import DemoAnswer, demo_answers

COUNT: Final = 360
# Days over which they are spread, the last one just before `end`.
DAYS: Final = 60
LANGUAGES: Final = ("en", "zh")
_PHRASES = Path(__file__).with_name("phrases.toml")
# How a dialogue goes, and how often.
_COURSES: Final = {
    "answered": 42,
    "person": 22,
    "edited": 16,
    "uncovered": 12,
    "unresolved": 8,
}
# Where somebody would tell the number of the order.
_ABOUT_AN_ORDER: Final = {"orders", "delivery", "returns", "refunds", "repairs", "invoices"}
_MOODS: Final = {"calm": 66, "angry": 16, "sad": 8, "happy": 10}
_FEELINGS: Final = {"calm": "neutral", "angry": "anger", "sad": "sadness", "happy": "joy"}


@functools.cache
def _phrases() -> dict[str, Any]:
    return tomllib.loads(_PHRASES.read_text(encoding="utf-8"))


@dataclass(slots=True)
class _Line:
    """What was said once. `edited`: an agent changed what had been proposed; `emotion`: of a customer."""

    who: str
    text: str
    edited: bool = False
    emotion: str = ""


@dataclass(slots=True)
class _Dialogue:
    """One being written."""

    language: str
    mood: str
    lines: list[_Line] = field(default_factory=list)
    resolved: bool = True
    rating: int | None = None
    intent: str = ""

    def asks(self, text: str, feeling: str = "neutral") -> None:
        """The customer writes; "" where the words do not tell how they feel."""
        self.lines.append(_Line("visitor", text, emotion=feeling))

    def says(self, who: str, text: str, *, edited: bool = False) -> None:
        """The assistant or an agent writes."""
        self.lines.append(_Line(who, text, edited=edited))


class Composer:
    """Writes dialogues with one source of randomness."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._answers = demo_answers()

    def dialogue(self, language: str) -> _Dialogue:
        """One dialogue of 2 to 8 turns."""
        rng = self._rng
        course = rng.choices(list(_COURSES), weights=list(_COURSES.values()))[0]
        mood = rng.choices(list(_MOODS), weights=list(_MOODS.values()))[0]
        found = _Dialogue(language, mood)
        values = self._values(language)
        if course == "uncovered":
            self._uncovered(found, values)
        else:
            self._covered(found, course, values)
        for line in found.lines:
            line.text = line.text.format(**values).strip()
        return found

    def _covered(self, found: _Dialogue, course: str, values: dict[str, str]) -> None:
        rng, parts = self._rng, _phrases()[found.language]
        answer = rng.choice(self._answers)
        found.intent = answer.intent
        question = rng.choice(answer.questions[found.language])
        detail = answer.area in _ABOUT_AN_ORDER
        found.asks(self._asked(question, found, parts, detail=detail), _FEELINGS[found.mood])
        body = _escaped(answer.bodies[found.language])
        if course == "unresolved":
            found.resolved = False
            found.says("assistant", body)
            self._leave(found, parts)
            return
        found.says("assistant", body)
        if course != "answered":
            found.asks(rng.choice(parts["asks_person"]), "")
            found.says("assistant", rng.choice(parts["handing"]))
            edited = course == "edited"
            found.says(
                "agent", self._in_own_words(answer, found, parts, edited=edited), edited=edited
            )
        if rng.random() < 0.5:
            asked, reply = rng.choice(parts["follow_ups"][answer.area])
            who = "agent" if course != "answered" else "assistant"
            found.asks(self._typed(asked, parts))
            found.says(who, reply)
        self._close(found, parts, person=course != "answered")

    def _uncovered(self, found: _Dialogue, values: dict[str, str]) -> None:
        rng, parts = self._rng, _phrases()[found.language]
        topic = rng.choice(list(parts["uncovered"].values()))
        asked = self._asked(rng.choice(topic["asks"]), found, parts, detail=False)
        found.asks(asked, _FEELINGS[found.mood])
        found.says("assistant", rng.choice(parts["handing"]))
        if not topic["reply"]:
            found.resolved = False
            self._leave(found, parts)
            return
        found.says("agent", rng.choice(parts["intros"]) + topic["reply"], edited=True)
        self._close(found, parts, person=True)

    def _asked(
        self, question: str, found: _Dialogue, parts: dict[str, Any], *, detail: bool
    ) -> str:
        opening = self._rng.choice(parts[found.mood])
        tail = self._rng.choice(parts["details"]) if detail else ""
        text = self._typed(_escaped(question), parts)
        if opening.endswith(", ") and not text.startswith("I "):
            text = text[0].lower() + text[1:]
        if tail.startswith(" ") and text[-1].isalpha():
            text += "."
        return f"{opening}{text}{tail}"

    def _typed(self, text: str, parts: dict[str, Any]) -> str:
        """As somebody types in a hurry: now and then a slip, a missing capital, many marks."""
        rng = self._rng
        if rng.random() < 0.25:
            slips = [(right, wrong) for right, wrong in parts["typos"] if right in text]
            if slips:
                right, wrong = rng.choice(slips)
                text = text.replace(right, wrong, 1)
        roll = rng.random()
        if roll < 0.25:
            return text.lower().rstrip("?？.")
        if roll < 0.32:
            return text.rstrip("?？") + rng.choice(["???", "？？", "!!", "?!"])
        return text

    def _in_own_words(
        self, answer: DemoAnswer, found: _Dialogue, parts: dict[str, Any], *, edited: bool
    ) -> str:
        """What an agent makes of the prepared answer: an introduction, perhaps only its first sentences."""
        rng = self._rng
        care = rng.choice(parts["cares"]) if found.mood in {"angry", "sad"} else ""
        body = _escaped(answer.bodies[found.language]).replace("**", "")
        if edited:
            body = rng.choice(parts["looked_up"]) + _first_sentences(body)
        return f"{rng.choice(parts['intros'])}{care}{body}"

    def _close(self, found: _Dialogue, parts: dict[str, Any], *, person: bool) -> None:
        rng = self._rng
        glad = found.mood == "happy" or rng.random() < (0.35 if person else 0.12)
        found.asks(rng.choice(parts["joy" if glad else "thanks"]), "joy" if glad else "")
        if person and rng.random() < 0.6:
            found.says("agent", rng.choice(parts["ends"]))
        if rng.random() < 0.6:
            found.rating = 5 if glad else rng.choice([3, 4, 4, 5])

    def _leave(self, found: _Dialogue, parts: dict[str, Any]) -> None:
        rng = self._rng
        angry = found.mood == "angry" or rng.random() < 0.4
        key = "leaving_angry" if angry else "leaving_quiet"
        found.asks(rng.choice(parts[key]), "anger" if angry else "sadness")
        if rng.random() < 0.5:
            found.rating = 1 if angry else 2

    def _values(self, language: str) -> dict[str, str]:
        rng, parts = self._rng, _phrases()[language]
        return {
            "o": f"JP{rng.randrange(20_000_000, 29_999_999)}",
            "n": str(rng.randrange(4, 15)),
            "a": rng.choice(parts["agents"]),
            "p": rng.choice(parts["items"]),
            "c": rng.choice(parts["cities"]),
        }


def dialogue_rows(end: datetime, *, seed: int = 11, count: int = COUNT) -> Iterator[dict[str, Any]]:
    """All dialogues as rows of an import, oldest first; half in each language. `end` needs a time zone."""
    rng = random.Random(seed)
    composer = Composer(rng)
    begin = end - timedelta(days=DAYS)
    starts = sorted(rng.random() for _ in range(count))
    for number, share in enumerate(starts):
        found = composer.dialogue(LANGUAGES[number % 2])
        moment = begin + timedelta(days=DAYS) * share - timedelta(hours=1)
        for at, line in enumerate(found.lines):
            row: dict[str, Any] = {
                "conversation": f"past-{seed}-{number:04d}",
                "time": moment.isoformat(timespec="seconds"),
                "who": line.who,
                "text": line.text,
                "language": found.language,
            }
            if line.edited:
                row["edited"] = True
            if line.emotion:
                row["emotion"] = line.emotion
            if at == 0:
                row["resolved"] = found.resolved
                row["intent"] = found.intent
                if found.rating is not None:
                    row["rating"] = found.rating
            yield row
            waits = (4, 15) if line.who == "visitor" else (20, 140)
            moment += timedelta(seconds=rng.randrange(*waits))


def _first_sentences(body: str, count: int = 2) -> str:
    """The first sentences of a text; a table is left out."""
    prose = body.split("\n\n", maxsplit=1)[0] if not body.startswith("|") else body
    ends = [at for at, mark in enumerate(prose) if mark in "。！？" or prose[at : at + 2] == ". "]
    return prose[: ends[count - 1] + 1] if len(ends) >= count else prose


def _escaped(text: str) -> str:
    """Braces of a text are no slots."""
    return text.replace("{", "{{").replace("}", "}}")
