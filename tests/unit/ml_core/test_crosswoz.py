"""Facts of a dialogue become codes, and come back from the database."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from bench.crosswoz import Places, asked, filled, nearest_replies, read_dialogues, write_rows

INN = {
    "领域": "酒店", "名称": "长城客栈", "地址": "长城路8号", "电话": "010-1234567", "价格": 300, "评分": 4.5,
    "酒店类型": "高档型", "周边景点": ["八达岭", "水关"], "酒店设施": ["游泳池"],
}  # fmt: skip
WALL = {
    "领域": "景点",
    "名称": "八达岭",
    "门票": 40,
    "评分": 4.7,
    "周边景点": ["水关"],
    "游玩时间": "3小时",
}
GATE = {"领域": "景点", "名称": "水关", "门票": 0, "评分": 4.0, "地址": "八达岭路1号"}
SAID = [
    "找一家有游泳池的酒店。", "推荐长城客栈,电话是010-1234567。", "周边有什么景点?", "有八达岭,水关。",
    "水关的地址呢?门票多少?", "地址是八达岭路1号,门票0元。",
]  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "database").mkdir()
    for name, records in (("hotel", [INN]), ("attraction", [WALL, GATE]), ("restaurant", [])):
        with gzip.open(
            tmp_path / "database" / f"{name}_db.json.gz", "wt", encoding="utf-8"
        ) as file:
            json.dump([[record["名称"], record] for record in records], file)
    messages = [
        {"role": "sys" if place % 2 else "usr", "content": text} for place, text in enumerate(SAID)
    ]
    for part in ("val", "test"):
        with zipfile.ZipFile(tmp_path / f"{part}.json.zip", "w") as archive:
            archive.writestr(f"{part}.json", json.dumps({"1": {"messages": messages}}))
    return tmp_path


def test_facts_become_codes_and_come_back(directory: Path, tmp_path: Path) -> None:
    places = Places(directory)
    [dialogue] = read_dialogues(directory, "val", places)
    coded = [turn["content"] for turn in dialogue.coded]
    assert coded == [
        "找一家有游泳池的酒店。", "推荐【酒店1】,电话是【1电话】。", "周边有什么景点?",
        "有【1周边景点】,【1周边景点】。",
        "【景点2】的地址呢?门票多少?", "地址是【2地址】,门票【2门票】。",
    ]  # fmt: skip
    for place in (1, 3, 5):
        assert filled(coded[place], dialogue, place, places) == SAID[place]
    # A code of what nobody named is nothing, not a guess.
    assert filled("见【9电话】。", dialogue, 1, places) == "见。"
    write_rows([dialogue], tmp_path / "rows.jsonl", coded=True)
    row = json.loads((tmp_path / "rows.jsonl").read_text("utf-8"))
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"] * 3


def test_the_nearest_reply_is_that_of_the_nearest_question(directory: Path) -> None:
    places = Places(directory)
    questions = asked(read_dialogues(directory, "val", places))
    assert nearest_replies(questions, questions, coded=False) == SAID[1::2]
