"""Rows of every task: what is written is read back; what is wrong is named with its place."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ml_core.data import (
    RowError,
    check_image,
    is_answered,
    join_tokens,
    parse_row,
    read_image,
    read_items,
    read_rows,
    row_identity,
    row_question,
    row_text,
    write_rows,
)
from ml_core.data.rows import FIELDS, TASKS, bio_tags

QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

# Anything that a text may hold: no NUL, no lone surrogate; not only white space.
texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=40
).filter(str.strip)
words = st.text(
    st.characters(categories=("L", "N", "P", "S"), exclude_characters="|"), min_size=1, max_size=12
)
entities = st.sampled_from(["PER", "ORG", "地点"])


@st.composite
def tagged(draw: st.DrawFn) -> dict[str, Any]:
    tokens = draw(st.lists(words, min_size=1, max_size=8))
    tags: list[str] = []
    for _ in tokens:
        kind = draw(entities)
        inside = bool(tags) and tags[-1][2:] == kind
        tags.append(draw(st.sampled_from(["O", f"B-{kind}", *([f"I-{kind}"] if inside else [])])))
    return {"tokens": tokens, "tags": tags}


@st.composite
def dialogues(draw: st.DrawFn) -> dict[str, Any]:
    turns = [{"role": "system", "content": draw(texts)}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        turns += [
            {"role": "user", "content": draw(texts)},
            {"role": "assistant", "content": draw(texts)},
        ]
    return {"messages": turns}


@st.composite
def marked(draw: st.DrawFn) -> dict[str, Any]:
    parts = draw(st.lists(words, min_size=1, max_size=4))
    starts = [sum(len(part) + 1 for part in parts[:at]) for at in range(len(parts))]
    return {
        "text": " ".join(parts),
        "spans": [[at, at + len(part)] for at, part in zip(starts, parts, strict=True)],
        "labels": draw(st.lists(entities, min_size=len(parts), max_size=len(parts))),
    }


CONTENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "text-classification": st.fixed_dictionaries({"text": texts, "label": words}),
    "multi-label-classification": st.fixed_dictionaries(
        {"text": texts, "labels": st.lists(words, unique=True, max_size=4)}
    ),
    "token-classification": tagged(),
    "span-classification": marked(),
    "text-embedding": st.one_of(
        st.fixed_dictionaries({"anchor": texts, "positive": texts}, optional={"negative": texts}),
        st.fixed_dictionaries({"anchor": texts, "positive": texts, "score": st.floats(0, 1)}),
    ),
    "reranking": st.fixed_dictionaries(
        {"query": texts, "document": texts, "label": st.sampled_from([0, 1])}
    ),
    "text-generation": st.one_of(
        dialogues(), st.fixed_dictionaries({"prompt": texts, "response": texts})
    ),
    "image-classification": st.fixed_dictionaries(
        {"image": st.sampled_from(["a/b.png", "猫/1.jpg"]), "label": words}
    ),
    "next-item": st.fixed_dictionaries(
        {"items": st.lists(words, min_size=1, max_size=6)}, optional={"user": words}
    ),
    "masked-language-model": st.fixed_dictionaries({"text": texts}),
}


def contents(path: Path, task: str, **options: Any) -> list[dict[str, Any]]:
    return [row.content for row in read_rows(path, task, **options)]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", [".jsonl", ".csv", ".parquet"])
@QUIET
@given(data=st.data())
def test_what_is_written_is_read_back(
    tmp_path: Path, task: str, kind: str, data: st.DataObject
) -> None:
    if task == "token-classification" and kind == ".csv":
        return
    rows = data.draw(st.lists(CONTENTS[task], min_size=1, max_size=6))
    path = tmp_path / f"rows{kind}"
    assert write_rows(path, rows, task=task) == len(rows)
    if kind == ".csv":  # carriage returns in CSV cells come back as they are, white space stays
        assert contents(path, task) == rows
    assert contents(path, task) == rows


@QUIET
@given(rows=st.lists(tagged(), min_size=1, max_size=6))
def test_conll_is_read_back(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = tmp_path / "rows.conll"
    write_rows(path, rows)
    kept = [row for row in rows if not row["tokens"][0].startswith(("#", "-DOCSTART-"))]
    assert [row for row in contents(path, "token-classification") if row in kept] == kept


@pytest.mark.parametrize("task", TASKS)
@QUIET
@given(
    junk=st.dictionaries(
        st.sampled_from(sorted({name for f in FIELDS.values() for name in f.names} | {"other"})),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["role", "content"]), inner, max_size=2)
            ),
            max_leaves=6,
        ),
    ),
    required=st.booleans(),
)
def test_a_row_is_good_or_refused_with_its_column(
    task: str, junk: dict[str, Any], required: bool
) -> None:
    try:
        row = parse_row(task, junk, require_answer=required)
    except RowError as error:
        assert error.column
        assert error.problem == error.template % error.values
        return
    assert required is False or is_answered(task, row.content)
    assert parse_row(task, row.content, require_answer=required).content == row.content
    json.dumps([row.content, row.metadata], allow_nan=False)
    assert row_text(task, row.content).strip()
    row_question(task, row.content)
    row_identity(task, row.content)


@pytest.mark.parametrize(
    ("task", "row", "column", "problem"),
    [
        ("text-classification", {"text": " ", "label": "x"}, "text", "the text is empty"),
        ("text-classification", {"text": "a", "label": ""}, "label", "the answer is missing"),
        ("token-classification", {"tokens": ["a"], "tags": []}, "tags", "0 tags for 1 tokens"),
        ("token-classification", {"tokens": ["a"], "tags": ["X"]}, "tags", "tag 1 “X” is neither"),
        ("text-embedding", {"anchor": "a", "positive": "b", "score": 2}, "score", "from 0 to 1"),
        ("reranking", {"query": "a", "document": "b", "label": 2}, "label", "neither 0 nor 1"),
        ("text-generation", {"messages": []}, "messages", "the list is empty"),
        ("text-generation", {"messages": [{"role": "bot"}]}, "messages", "message 1 needs a role"),
        ("image-classification", {"image": "../a.png", "label": "x"}, "image", "relative path"),
        ("next-item", {"items": []}, "items", "the list is empty"),
    ],
)
def test_problems(task: str, row: dict[str, Any], column: str, problem: str) -> None:
    with pytest.raises(RowError, match=problem) as caught:
        parse_row(task, row)
    assert caught.value.column == column


def test_other_columns_are_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("body,topic,label,user\nfine,x,wrong,7\n")
    (row,) = read_rows(path, "text-classification", columns={"text": "body", "label": "topic"})
    assert row.content == {"text": "fine", "label": "x"}
    assert row.metadata == {"user": "7"}
    assert row.line == 2


def test_unlabelled_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,labels\nnone of them,|\nwaits,\n")
    rows = contents(path, "multi-label-classification", require_answer=False)
    assert rows == [{"text": "none of them", "labels": []}, {"text": "waits"}]
    assert contents(path, "multi-label-classification")[1] == {"text": "waits", "labels": []}


def test_bad_rows_are_told_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{broken\n{"text": ""}\n{"text": "b"}\n')
    problems: list[RowError] = []
    rows = list(read_rows(path, "masked-language-model", on_problem=problems.append))
    assert [row.line for row in rows] == [1, 4]
    assert [(problem.line, problem.column) for problem in problems] == [(2, None), (3, "text")]
    with pytest.raises(RowError, match=r"line 2: not valid JSON"):
        list(read_rows(path, "masked-language-model"))


def test_conll_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(
        "-DOCSTART- -X- O O\n\nEU NNP B-NP I-ORG\nrejects VBZ B-VP O\n\n# NN O O\n. . O O\n\n"
        "bad line\n\nlast NN O O"
    )
    problems: list[RowError] = []
    rows = list(read_rows(path, "token-classification", on_problem=problems.append))
    assert [row.content for row in rows] == [
        {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]},
        {"tokens": ["#", "."], "tags": ["O", "O"]},
        {"tokens": ["last"], "tags": ["O"]},
    ]
    assert rows[0].metadata == {"document": 1}
    assert [problem.line for problem in problems] == [9]


def test_tag_schemes_become_bio() -> None:
    assert bio_tags(["I-A", "I-A", "B-A", "O", "I-B"]) == ["B-A", "I-A", "B-A", "O", "B-B"]
    assert bio_tags(["B-A", "E-A", "S-A", "U-A", "L-A"]) == ["B-A", "I-A", "B-A", "B-A", "B-A"]


def test_tokens_are_shown_as_people_write() -> None:
    assert join_tokens(["利润", "上升", "5%", "year", "on"]) == "利润上升 5% year on"


def test_items(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("id,text\n7,Shoes\n8,\n")
    problems: list[RowError] = []
    assert list(read_items(path, on_problem=problems.append)) == [("7", "Shoes")]
    assert (problems[0].line, problems[0].column) == (3, "text")


def picture(colour: str, kind: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


def test_a_zip_of_images(tmp_path: Path) -> None:
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/1.png", picture("red"))
        archive.writestr("dog/1.bmp", picture("red", "BMP"))
        archive.writestr("__MACOSX/cat/1.png", b"x")
        archive.writestr("loose.png", picture("red"))
    problems: list[RowError] = []
    rows = [r.content for r in read_rows(path, "image-classification", on_problem=problems.append)]
    assert rows == [
        {"image": "cat/1.png", "label": "cat"},
        {"image": "dog/1.bmp", "label": "dog"},
    ]
    assert [problem.column for problem in problems] == ["label"]
    first, second = (check_image(read_image(path, row["image"])) for row in rows)
    assert first.pixel_digest == second.pixel_digest
    assert (first.suffix, second.suffix) == (".png", ".bmp")


def test_what_is_no_image_is_refused() -> None:
    for data in (b"", b"<svg/>", b"%PDF-1.4", picture("red", "JPEG", (64, 64))[:-90]):
        with pytest.raises(RowError):
            check_image(data)
    with pytest.raises(RowError, match="pixels are too many"):
        check_image(picture("red", size=(7000, 6000)))


def test_archives_that_attack(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.png", b"\0" * 5_000_000)
    with pytest.raises(RowError, match="times its size"):
        list(read_rows(bomb, "image-classification"))
    climbing = tmp_path / "climbing.zip"
    with zipfile.ZipFile(climbing, "w") as archive:
        archive.writestr("../../a/b.png", picture("red"))
    with pytest.raises(RowError, match="not a relative path"):
        list(read_rows(climbing, "image-classification"))


def test_reading_is_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    with path.open("w") as file:
        file.write("text,label\n")
        file.writelines(f"row number {n},x\n" for n in range(300_000))
    script = (
        "import resource, sys; from ml_core.data import read_rows\n"
        "rows = read_rows(sys.argv[1], 'text-classification'); next(rows)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "count = sum(1 for _ in rows)\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(count, after - before, 'torch' in sys.modules)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    count, grown, torch = answer.stdout.split()
    assert (int(count), torch) == (299_999, "False")
    assert int(grown) < 5_000  # kilobytes


@pytest.mark.parametrize("name", ["texts.txt", "texts.csv", "texts.jsonl"])
def test_texts_without_labels_are_read_from_every_kind_of_file(tmp_path: Path, name: str) -> None:
    from ml_core.tasks.reading_texts import unlabelled_texts

    forms = {
        ".txt": "rises\nfalls\nrises\n",
        ".csv": "body,label\nrises,\nfalls,up\nrises,\n",
        ".jsonl": '{"body": "rises"}\n{"body": "falls"}\n{"body": "rises"}\n',
    }
    path = tmp_path / name
    path.write_text(forms[path.suffix], encoding="utf-8")
    assert unlabelled_texts(path, "body") == ["rises", "falls"]
