"""CrossWOZ (Zhu et al. 2020): dialogues of a traveller and a guide of Beijing, as rows of text-generation.

A reply of the guide is made of words and of facts: names, addresses, telephone numbers. Five hundred dialogues are
enough to learn the words, never the facts, so a fact is written as a code for where it is in the set's own database:
【餐馆1】 is the first place that was named, a restaurant, 【1地址】 its address, and a number that was not named before
stands for a place that is looked up by what the traveller asked for. `filled` puts the facts back. Only the text and
the database are used, never the annotation.

    python -m bench.crosswoz ../shared/data/crosswoz rows    writes rows/train.jsonl and rows/test.jsonl
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Turn = dict[str, str]
Record = dict[str, Any]

_DOMAINS = {"attraction": "景点", "restaurant": "餐馆", "hotel": "酒店"}
_LISTS = ("周边景点", "周边餐馆", "周边酒店")
_UNITS = {"人均消费": "元", "价格": "元", "门票": "元", "评分": "分"}
_WORDS = ("地址", "电话", "营业时间", "游玩时间", "地铁", "酒店类型")
_CODE = re.compile(r"【(?:(景点|餐馆|酒店)(\d+)|(\d+)([^】\d]+))】")
# A list's separators where nothing came between them.
_EMPTY = re.compile(r"(?:[,，、]\s*)+(?=[,，、。；！？]|$)")
_RATING = re.compile(r"(\d(?:\.\d)?)分以上")
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)元")


class Places:
    """The set's database: places by name."""

    def __init__(self, directory: Path) -> None:
        self.records: dict[str, Record] = {}
        for file in _DOMAINS:
            with gzip.open(
                directory / "database" / f"{file}_db.json.gz", "rt", encoding="utf-8"
            ) as source:
                for name, record in json.load(source):
                    self.records.setdefault(name, record)
        names = sorted(self.records, key=len, reverse=True)
        self._names = re.compile("|".join(map(re.escape, names)))

    def named(self, text: str) -> list[re.Match[str]]:
        """Where places are named, the longest name first."""
        return list(self._names.finditer(text))

    def look_up(self, domain: str, question: str, focus: str | None, known: Sequence[str]) -> str:
        """The place that fits best what the traveller asked for, the best rated of equals."""
        near = set(self.records[focus].get(f"周边{domain}") or ()) if focus else set()
        nearby = "周边" in question or "附近" in question

        def fit(record: Record) -> tuple[float, float]:
            items = [*(record.get("推荐菜") or ()), *(record.get("酒店设施") or ())]
            score = 2.0 * sum(item in question for item in items)
            score += 2.0 * any(
                record[key] in question for key in ("酒店类型", "游玩时间") if record.get(key)
            )
            score += 3.0 * (nearby and record["名称"] in near)
            rating = record.get("评分") or 0
            if asked := _RATING.search(question):
                score += 1 if rating >= float(asked[1]) else -2
            price = next((record[key] for key in _UNITS if record.get(key) is not None), 0)
            if asked := _RANGE.search(question):
                score += 2 if float(asked[1]) <= price <= float(asked[2]) else -1
            elif "免费" in question and "门票" in record:
                score += 2 if price == 0 else -1
            return score, rating

        candidates = [
            record
            for name, record in self.records.items()
            if record["领域"] == domain and name not in known
        ]
        return str(max(candidates, key=fit)["名称"])


@dataclass
class Dialogue:
    """A dialogue with codes for facts. ``known`` has, for each turn, the places that were named before it."""

    plain: list[Turn]
    coded: list[Turn] = field(default_factory=list)
    known: list[list[str]] = field(default_factory=list)


def read_dialogues(directory: Path, part: str, places: Places) -> list[Dialogue]:
    """The dialogues of ``part`` ("val" or "test") of the set in ``directory``."""
    with zipfile.ZipFile(directory / f"{part}.json.zip") as archive:
        dialogues = json.loads(archive.read(f"{part}.json"))
    roles = {"usr": "user", "sys": "assistant"}
    return [
        _coded(
            [
                {"role": roles[message["role"]], "content": message["content"].strip()}
                for message in dialogue["messages"]
            ],
            places,
        )
        for dialogue in dialogues.values()
    ]


def write_rows(dialogues: Sequence[Dialogue], path: Path, *, coded: bool) -> None:
    """A row of text-generation for each dialogue."""
    with path.open("w", encoding="utf-8") as file:
        for dialogue in dialogues:
            turns = dialogue.coded if coded else dialogue.plain
            file.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")


def filled(reply: str, dialogue: Dialogue, place: int, places: Places) -> str:
    """``reply``, written at turn ``place``, with the facts in the place of their codes; codes of what is not known are
    left out."""
    known = list(dialogue.known[place])
    given: dict[tuple[int, str], int] = {}

    def fact(code: re.Match[str]) -> str:
        domain, number, of, slot = code.groups()
        at = int(number or of) - 1
        if domain and at >= len(known):
            question = dialogue.plain[place - 1]["content"]
            known.append(places.look_up(domain, question, known[-1] if known else None, known))
            return known[-1]
        if at >= len(known) or at < 0:
            return ""
        if domain:
            return known[at]
        value = places.records[known[at]].get(slot)
        if slot in _LISTS:
            turn = given[at, slot] = given.get((at, slot), -1) + 1
            return value[turn] if value and turn < len(value) else ""
        return _shown(slot, value)

    return _EMPTY.sub("", _CODE.sub(fact, reply))


def _coded(turns: list[Turn], places: Places) -> Dialogue:
    dialogue = Dialogue(turns)
    known: list[str] = []
    recent: list[str] = []
    for turn in turns:
        dialogue.known.append(list(known))
        text = turn["content"]
        guide = turn["role"] == "assistant"
        if guide:  # before names: an address may have one in it
            text = _with_facts(text, recent, known, places)
        parts: list[str] = []
        end = 0
        for match in places.named(text):
            name = match[0]
            code = _listed(name, recent, known, places) if guide and name not in known else ""
            if not code:
                known += [name] if name not in known else []
                recent = [*(other for other in recent if other != name), name]
                code = f"【{places.records[name]['领域']}{known.index(name) + 1}】"
            parts += [text[end : match.start()], code]
            end = match.end()
        text = "".join([*parts, text[end:]])
        if guide:
            text = _with_facts(text, recent, known, places)
        dialogue.coded.append({"role": turn["role"], "content": text})
    return dialogue


def _listed(name: str, recent: list[str], known: list[str], places: Places) -> str:
    """The code of a place that lies near one of the last two that were talked about; "" when it does not."""
    for other in reversed(recent[-2:]):
        for slot in _LISTS:
            if name in (places.records[other].get(slot) or ()):
                return f"【{known.index(other) + 1}{slot}】"
    return ""


def _with_facts(text: str, recent: list[str], known: list[str], places: Places) -> str:
    """Values of the last three places that were talked about become codes."""
    for name in reversed(recent[-3:]):
        for slot in (*_WORDS, *_UNITS):
            value = _shown(slot, places.records[name].get(slot))
            if len(value) > 1 and value in text:
                text = text.replace(value, f"【{known.index(name) + 1}{slot}】")
    return text


def _shown(slot: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    unit = _UNITS.get(slot)
    return f"{value:g}{unit}" if unit and isinstance(value, (int, float)) else str(value)


@dataclass(frozen=True)
class Asked:
    """A reply of the guide to be written: turn ``place`` of ``dialogue``."""

    dialogue: Dialogue
    place: int

    @property
    def reply(self) -> str:
        return self.dialogue.plain[self.place]["content"]

    def turns(self, *, coded: bool) -> list[Turn]:
        """What was said before."""
        turns = self.dialogue.coded if coded else self.dialogue.plain
        return turns[: self.place]


def asked(dialogues: Sequence[Dialogue]) -> list[Asked]:
    """Every reply of the guide."""
    return [
        Asked(dialogue, place)
        for dialogue in dialogues
        for place, turn in enumerate(dialogue.plain)
        if place and turn["role"] == "assistant"
    ]


def nearest_replies(
    train: Sequence[Asked], test: Sequence[Asked], *, coded: bool, turns: int = 1
) -> list[str]:
    """For each of ``test`` the reply of ``train`` whose last ``turns`` before it are nearest: the cosine of TF-IDF over
    one to three characters."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    def text(each: Asked) -> str:
        return "\n".join(turn["content"] for turn in each.turns(coded=coded)[-turns:])

    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    known = vectors.fit_transform([text(each) for each in train])
    best = (vectors.transform([text(each) for each in test]) @ known.T).argmax(1)
    chosen = [train[int(place)] for place in best.ravel().tolist()[0]]
    return [
        (each.dialogue.coded if coded else each.dialogue.plain)[each.place]["content"]
        for each in chosen
    ]


def compare(model: Path, directory: Path, *, count: int = 500, seed: int = 13) -> dict[str, Any]:
    """chrF and BLEU on ``count`` replies of the test part of the model trained on `main`'s rows, of copying the nearest
    training reply as it is, and of copying it with the facts of this dialogue; with examples."""
    from ml_core.evaluation import build_generation_report
    from ml_core.tasks import predictor_class

    places = Places(directory)
    train = asked(read_dialogues(directory, "val", places))
    test = asked(read_dialogues(directory, "test", places))
    if count < len(test):
        test = random.Random(seed).sample(test, count)

    def with_facts(replies: Sequence[str]) -> list[str]:
        return [
            filled(reply, each.dialogue, each.place, places)
            for reply, each in zip(replies, test, strict=True)
        ]

    written = (
        predictor_class("text-generation")
        .load(model)
        .predict_rows([{"messages": each.turns(coded=True)} for each in test])
    )
    answers = {
        "model": with_facts([row["response"] for row in written]),
        "copy the nearest reply": nearest_replies(train, test, coded=False),
        "copy the nearest reply, with this dialogue's facts": with_facts(
            nearest_replies(train, test, coded=True)
        ),
    }
    references = [each.reply for each in test]
    found: dict[str, Any] = {}
    for name, replies in answers.items():
        report = build_generation_report(replies, references)
        found[name] = {
            "chrf": report.chrf,
            "interval": report.to_dict()["intervals"]["chrf"],
            "bleu": report.bleu,
            "distinct_2": report.distinct_2,
        }
    found["examples"] = [
        {"asked": each.turns(coded=False)[-1]["content"], "reference": each.reply}
        | {name: replies[place] for name, replies in answers.items()}
        for place, each in enumerate(test[:10])
    ]
    return found


def main(directory: Path, out: Path) -> None:
    """Write the rows with codes: ``train.jsonl`` from the validation part, ``test.jsonl`` from the test part."""
    places = Places(directory)
    out.mkdir(parents=True, exist_ok=True)
    for part, name in (("val", "train"), ("test", "test")):
        write_rows(read_dialogues(directory, part, places), out / f"{name}.jsonl", coded=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
