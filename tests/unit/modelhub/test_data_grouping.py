"""Groups that a split must not divide; every problem of a row has words."""

from __future__ import annotations

import re
from pathlib import Path

import ml_core.data
from rootstock.modelhub.grouping import Groups, join_near_duplicates
from rootstock.modelhub.row_problems import TEMPLATES


def grouped(texts: list[str], threshold: float) -> list[int]:
    groups = Groups()
    for place in range(len(texts)):
        groups.add(place)
    join_near_duplicates(groups, texts, threshold=threshold)
    return [groups.find(place) for place in range(len(texts))]


def test_near_duplicates_are_joined_and_others_not() -> None:
    texts = [
        "How do I activate the new card that came by post yesterday morning?",
        "Why was my transfer to a friend in another country declined?",
        "How do I activate the new card that came by post yesterday morning, please?",
        "",
        "我的新银行卡昨天寄到了，请问应该怎么激活使用呢",
        "我的新银行卡昨天寄到了，请问应该怎么激活使用",
        "",
    ]
    assert grouped(texts, 0.7) == [0, 1, 0, 3, 4, 4, 6]
    assert grouped([], 0.7) == []


def test_every_problem_of_a_row_can_be_said_in_chinese() -> None:
    folder = Path(ml_core.data.__file__).parent
    source = "".join((folder / name).read_text() for name in (
        "rows.py", "row_files.py", "row_parsing.py", "row_writing.py", "images.py"
    ))  # fmt: skip
    raised = re.findall(r'RowError\(\s*((?:"[^"\n]*"\s*)+)', source)
    templates = {"".join(re.findall(r'"([^"\n]*)"', text)) for text in raised}
    assert len(templates) > 30
    assert templates <= TEMPLATES
