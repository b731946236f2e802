"""Reading labelled texts: what is right is read as it is, what is wrong is named with its place."""

from __future__ import annotations

import codecs
import csv
import io
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_core.data import (
    DataError,
    Example,
    bucketed_batches,
    padding_budget_batches,
    read_examples,
    stratified_split,
)

fuzz = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
readable = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
).filter(lambda value: value.strip())


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@fuzz
@given(rows=st.lists(st.tuples(readable, readable), min_size=1, max_size=8))
def test_csv_gives_back_what_was_written(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    path = written(tmp_path / "rows.csv", buffer.getvalue())
    assert read_examples(path) == [Example(text, label.strip()) for text, label in rows]


@fuzz
@given(
    rows=st.lists(st.tuples(readable, readable), min_size=1, max_size=8), ascii_only=st.booleans()
)
def test_jsonl_gives_back_what_was_written(
    tmp_path: Path, rows: list[tuple[str, str]], ascii_only: bool
) -> None:
    lines = [
        json.dumps({"text": text, "label": label}, ensure_ascii=ascii_only) for text, label in rows
    ]
    path = written(tmp_path / "rows.jsonl", "\n".join(lines))
    assert read_examples(path) == [Example(text, label.strip()) for text, label in rows]


@fuzz
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".csv", ".jsonl", ".parquet"]))
def test_any_bytes_are_read_or_refused_with_a_data_error(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    head = b"text,label\n" if suffix == ".csv" else b""
    path = written(tmp_path / f"rows{suffix}", head + content)
    try:
        examples = read_examples(path)
    except DataError as error:
        assert error.path == path
    else:
        assert all(example.text.strip() and example.label for example in examples)


@fuzz
@given(
    row=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["text", "label"]), inner),
    )
)
def test_any_json_row_is_read_or_refused(tmp_path: Path, row: object) -> None:
    path = written(tmp_path / "rows.jsonl", json.dumps(row))
    try:
        read_examples(path)
    except DataError as error:
        assert error.line in {1, None}


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", codecs.BOM_UTF8 + "text,label\n你好,好\n".encode())
    assert read_examples(path) == [Example("你好", "好")]


@pytest.mark.parametrize(
    ("encoding", "text", "named"),
    [
        ("gbk", "今天股市大涨,投资者情绪高涨", "GBK"),
        ("utf-16", "今天股市大涨", "UTF-16"),
        ("utf-16-le", "the shares rose today after the report", "UTF-16"),
        ("utf-32", "shares", "UTF-32"),
        ("latin-1", "Société Générale déçoit à Paris", "Latin-1"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_another_encoding_is_named(
    tmp_path: Path, encoding: str, text: str, named: str, suffix: str
) -> None:
    row = f"text,label\nfirst,a\n{text},b\n"
    if suffix == ".jsonl":
        row = '{"text": "first", "label": "a"}\n' * 2 + f'{{"text": "{text}", "label": "b"}}\n'
    path = written(tmp_path / f"a{suffix}", row.encode(encoding))
    with pytest.raises(DataError, match=named) as caught:
        read_examples(path)
    if not named.startswith("UTF"):
        assert caught.value.line == 3


BAD = {
    "no text column": ("a.csv", "body,label\nx,y\n", 1, "no column 'text'"),
    "column twice": ("a.csv", "text,text,label\nx,x,y\n", 1, "appears twice"),
    "short row": ("a.csv", "text,label\nx,y\nz\n", 3, "1 fields where the header has 2"),
    "empty text": ("a.csv", "text,label\n  ,y\n", 2, "the text is empty"),
    "empty label": ("a.csv", "text,label\nx,y\nx,\n", 3, "the label is empty"),
    "after a row of two lines": ("a.csv", 'text,label\n"a\nb",y\nx,\n', 4, "the label is empty"),
    "open quote": ("a.csv", 'text,label\nx,y\n"never closed,z\nq,r\n', 3, "never closed"),
    "NUL": ("a.csv", "text,label\nx,y\na\0b,y\n", 3, "NUL"),
    "NUL in JSON": ("a.jsonl", '{"text": "a\\u0000b", "label": "y"}', 1, "NUL"),
    "huge field": ("a.csv", f"text,label\nx,y\n{'a' * 10_000_000},y\n", 3, "1,000,000 characters"),
    "huge JSON field": (
        "a.jsonl", json.dumps({"text": "a" * 10_000_000, "label": "y"}), 1, "1,000,000 characters"
    ),
    "not JSON": ("a.jsonl", '{"text": "x", "label": "y"}\n{oops}\n', 2, "not valid JSON"),
    "not an object": ("a.jsonl", "[1, 2]\n", 1, "not a JSON object"),
    "deep JSON": ("a.jsonl", "[" * 100_000, 1, "not valid JSON"),
    "no label key": ("a.jsonl", '{"text": "x"}', 1, "no key 'label'"),
    "text is a number": ("a.jsonl", '{"text": 5, "label": "y"}', 1, "a int, not text"),
    "half a character": ("a.jsonl", '{"text": "x\\ud800", "label": "y"}', 1, "surrogate"),
    "header only": ("a.csv", "text,label\n", None, "no rows"),
    "empty file": ("a.csv", "", 1, "no column 'text'"),
    "not Parquet": ("a.parquet", "PAR1 no", None, "not a readable Parquet file"),
    "unknown kind": ("a.xlsx", "x", None, "unknown kind of file"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_named_with_its_line(tmp_path: Path, case: str) -> None:
    name, content, line, problem = BAD[case]
    path = written(tmp_path / name, content)
    with pytest.raises(DataError) as caught:
        read_examples(path)
    assert problem in str(caught.value)
    assert caught.value.line == line
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_examples(tmp_path / "none.csv")
    (tmp_path / "dir.csv").mkdir()
    with pytest.raises(DataError, match="is a directory"):
        read_examples(tmp_path / "dir.csv")


def test_whole_numbers_are_labels_and_lines_are_kept(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl", '\n{"text": "x", "label": 3}\n\n{"text": "y", "label": "a"}\n'
    )
    examples = read_examples(path)
    assert examples == [Example("x", "3"), Example("y", "a")]
    assert [example.line for example in examples] == [2, 4]


def test_a_label_is_optional_when_not_required(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id,text\n1,x\n2,y\n")
    assert read_examples(path, require_label=False) == [Example("x", ""), Example("y", "")]
    with pytest.raises(DataError, match="no column 'label'"):
        read_examples(path)


def test_parquet_columns_by_name(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1, 2], "body": ["x", "你好"], "y": [0, 1]}), path)
    assert read_examples(path, text="body", label="y") == [Example("x", "0"), Example("你好", "1")]
    pq.write_table(pa.table({"text": ["x", None], "label": ["a", "b"]}), path)
    with pytest.raises(DataError, match="the text is missing") as caught:
        read_examples(path)
    assert caught.value.line == 2


@given(
    labels=st.lists(st.sampled_from("abcd"), min_size=1, max_size=60),
    fraction=st.floats(0.05, 0.9),
    seed=st.integers(0, 9),
)
def test_a_split_loses_nothing_and_keeps_every_label(
    labels: list[str], fraction: float, seed: int
) -> None:
    examples = [Example(str(number), label) for number, label in enumerate(labels)]
    rest, part = stratified_split(examples, fraction=fraction, seed=seed)
    assert sorted(rest + part, key=lambda e: int(e.text)) == examples
    assert {example.label for example in rest} == set(labels)
    for label in set(labels):
        if labels.count(label) > 1:
            assert any(example.label == label for example in part)
    assert stratified_split(examples, fraction=fraction, seed=seed) == (rest, part)


@given(lengths=st.lists(st.integers(1, 300), max_size=200), budget=st.integers(1, 512))
def test_budget_batches_hold_every_text_once_within_the_budget(
    lengths: list[int], budget: int
) -> None:
    batches = padding_budget_batches(lengths, budget=budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        width = max(lengths[index] for index in batch)
        assert width * len(batch) <= budget or len(batch) == 1


def test_training_batches_hold_every_text_once_and_pad_little() -> None:
    generator = random.Random(0)
    lengths = [min(512, 4 + int(generator.lognormvariate(3.4, 0.8))) for _ in range(5000)]
    batches = bucketed_batches(lengths, batch_size=32, generator=generator)
    assert sorted(index for batch in batches for index in batch) == list(range(5000))
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)
    assert padded / sum(lengths) < 1.2
    assert batches != bucketed_batches(lengths, batch_size=32, generator=generator)
