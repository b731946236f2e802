"""Bad uploads: each says what is wrong and where, and good rows are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pytest
from modelhub_helpers import ACTOR
from pyarrow import parquet

from rootstock.modelhub import services
from rootstock.modelhub.errors import ModelhubError
from rootstock.tenancy.models import Organisation

CSV = "text,label\nProfit rises,positive\nProfit falls,negative\n"
CHINESE = "text,label\n公司利润上升,positive\n公司利润下降,negative\n"


def load(path: Path, content: bytes | str, **options: str) -> services.ImportReport:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    dataset = services.dataset_create(name=path.name, actor=ACTOR)
    return services.dataset_import(dataset=dataset, path=path, actor=ACTOR, **options)


def lines(report: services.ImportReport) -> list[tuple[int, str]]:
    return [(problem.line, problem.detail) for problem in report.problems]


@pytest.mark.parametrize("content", [CSV, "\ufeff" + CSV, CSV.replace("\n", "\r\n"), CHINESE])
def test_ordinary_files(scope: Organisation, tmp_path: Path, content: str) -> None:
    report = load(tmp_path / "a.csv", content)
    assert (report.rows, report.added, report.problem_count) == (2, 2, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CHINESE.encode("gb18030"), "GBK"),
        (CSV.encode("utf-16"), "UTF-16"),
        (CSV.encode("utf-16-le"), "UTF-16"),
        (CSV.encode("utf-32"), "UTF-32"),
        ("text,label\ncafé profité,x\nnaïve,y\n".encode("latin-1"), "Latin-1"),
        (b"PK\x03\x04 a spreadsheet", "spreadsheet"),
        (b"", "empty"),
        (b"text,label\n", "no rows"),
        (b"headline,label\na,b\n", "no column “text”; the file has “headline”, “label”"),
        (b"text,category\na,b\n", "no column “label”"),
        (b"text,text,label\na,b,c\n", "twice"),
    ],
)
def test_a_file_that_cannot_be_used_as_a_whole(
    scope: Organisation, tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(ModelhubError, match=message):
        load(tmp_path / "a.csv", content)


def test_an_unknown_kind_of_file(scope: Organisation, tmp_path: Path) -> None:
    with pytest.raises(ModelhubError, match=r"\.csv, \.jsonl or \.parquet"):
        load(tmp_path / "a.txt", CSV)


def test_bad_rows_are_named_and_good_rows_kept(scope: Organisation, tmp_path: Path) -> None:
    good = "".join(f"row number {n},x\n" for n in range(40)).encode()
    content = (
        b"text,label\n"
        b"a NUL \0 inside,x\n"
        b"caf\xe9 in Latin-1,x\n"
        b"one field\n"
        b"three,fields,here\n"
        b"   ,x\n"
        b"a long label," + b"y" * 121 + b"\n"
        b"no label yet,\n"
        b'"two\nlines",x\n' + good
    )
    report = load(tmp_path / "a.csv", content)
    assert lines(report) == [
        (2, "contains a NUL byte"),
        (3, "not UTF-8 (byte 0xe9); it looks like Latin-1 (Windows-1252)"),
        (4, "1 fields where the header has 2"),
        (5, "3 fields where the header has 2"),
        (6, "the text is empty"),
        (7, "longer than 120 characters"),
    ]
    assert (report.added, report.unlabelled) == (42, 1)


def test_a_ten_megabyte_line(scope: Organisation, tmp_path: Path) -> None:
    content = "text,label\nfirst,x\n" + "a" * 10_000_000 + ",x\nlast,x\n"
    report = load(tmp_path / "a.csv", content)
    assert lines(report) == [(3, "longer than 2,000,000 bytes")]
    assert report.added == 2


def test_a_long_text(scope: Organisation, tmp_path: Path) -> None:
    report = load(tmp_path / "a.jsonl", json.dumps({"text": "a" * 100_001, "label": "x"}))
    assert lines(report) == [(1, "longer than 100,000 characters")]


def test_a_stray_quote_costs_one_row(scope: Organisation, tmp_path: Path) -> None:
    rows = "".join(f"row number {n},x\n" for n in range(2000))
    report = load(tmp_path / "a.csv", f'text,label\nfirst,x\n"never closed,x\n{rows}')
    assert lines(report) == [(3, "a quoted field that begins here is never closed")]
    assert report.added == 2001


def test_jsonl(scope: Organisation, tmp_path: Path) -> None:
    content = "\n".join(
        [
            '{"text": "fine", "label": "x"}',
            "{broken",
            "[1, 2]",
            '{"text": "no label key"}',
            '{"text": 12, "label": "x"}',
            '{"text": null, "label": "x"}',
            '{"text": "a number", "label": 3}',
            '{"text": "half \\ud83d", "label": "x"}',
            '{"text": "nul \\u0000", "label": "x"}',
            "",
            '{"text": "unlabelled", "label": null}',
        ]
    )
    report = load(tmp_path / "a.jsonl", content)
    assert [line for line, _ in lines(report)] == [2, 3, 4, 5, 6, 8, 9]
    assert report.problems[2].column == "label"
    assert (report.added, report.unlabelled) == (3, 1)


def test_without_labels(scope: Organisation, tmp_path: Path) -> None:
    report = load(tmp_path / "a.csv", "text\nfirst\nsecond\n", label_column="")
    assert (report.added, report.unlabelled) == (2, 2)


def test_parquet(scope: Organisation, tmp_path: Path) -> None:
    table = pyarrow.table({"text": ["fine", None, "also"], "label": [1, 2, 3]})
    parquet.write_table(table, tmp_path / "source")
    report = load(tmp_path / "a.parquet", (tmp_path / "source").read_bytes())
    assert lines(report) == [(2, "missing")]
    assert report.added == 2
    with pytest.raises(ModelhubError, match="not a readable Parquet file"):
        load(tmp_path / "b.parquet", b"PAR1 but no more")


def test_only_two_hundred_problems_are_kept(scope: Organisation, tmp_path: Path) -> None:
    report = load(tmp_path / "a.csv", "text,label\n" + " ,x\n" * 500 + "fine,x\n")
    assert (report.problem_count, len(report.problems), report.added) == (500, 200, 1)


def test_the_order_of_the_file_is_kept(scope: Organisation, tmp_path: Path) -> None:
    texts = [f"text number {n}" for n in range(2500)]
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"{text},x\n" for text in texts))
    dataset = services.dataset_create(name="order", actor=ACTOR)
    services.dataset_import(dataset=dataset, path=path, actor=ACTOR)
    assert list(dataset.examples.order_by("id").values_list("text", flat=True)) == texts
