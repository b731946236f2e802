"""Files of documents: good rows are kept, bad ones named by line, encodings named."""

from __future__ import annotations

import gzip
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.finance_sentiment.models import Document
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db
HEADER = "external_id,source,title,published_at\n"


@pytest.fixture
def load(organisation, tmp_path):
    def run(
        content: bytes | str, name: str = "news.csv", command: str = "import_documents", **options
    ) -> str:
        path = Path(tmp_path / name)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        out = StringIO()
        call_command(command, str(path), organisation=organisation.slug, stdout=out, **options)
        return out.getvalue()

    return run


@pytest.fixture
def titles(organisation):
    def read() -> list[str]:
        with organisation_scope(organisation.pk):
            return list(Document.objects.order_by("published_at").values_list("title", flat=True))

    return read


def test_good_rows_are_kept_and_bad_ones_named_by_line(load, titles):
    out = load(
        HEADER
        + "1,Wire,First,2026-01-01T00:00:00Z\n"
        + "2,Wire,,2026-01-01T00:00:01Z\n"
        + "3,Wire,Third,never\n"
        + '4,Wire,"Two\nlines",2026-01-01T00:00:02Z\n'
        + "5,Wire,Fifth, with a comma too many,2026-01-01T00:00:03Z\n"
        + "\n"
        + "6,Wire,Last,2026-01-01T00:00:04\n"
    )
    assert titles() == ["First", "Two\nlines", "Last"]
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["line 3", "line 4", "line 7"]
    assert lines[-1] == "3 new, 0 changed, 0 unchanged, 3 bad"


def test_importing_again_changes_nothing_even_without_ids(load, titles):
    text = "title,published_at\nBank wins,2026-01-01T00:00:00Z\nOil rises,2026-01-01T00:00:00Z\n"
    load(text)
    assert "0 new, 0 changed, 2 unchanged" in load(text)
    assert sorted(titles()) == ["Bank wins", "Oil rises"]


def test_json_lines_gzipped(load, titles):
    rows = [{"title": "央行降准", "published_at": "2026-01-01T08:00:00+08:00", "external_id": "a"}]
    text = "\n".join(map(json.dumps, rows)) + '\n{"title": \n[]\n\n'
    out = load(gzip.compress(text.encode()), "news.jsonl.gz")
    assert titles() == ["央行降准"]
    assert "line 2: This is not JSON" in out
    assert "line 3: The line is not an object" in out


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "cp1252"])
def test_another_encoding_is_named_and_can_be_read_when_said_so(load, titles, encoding):
    title = (
        "Société Générale relève ses prévisions"
        if encoding == "cp1252"
        else "央行宣布下调存款准备金率"
    )
    content = (HEADER + f"1,Wire,{title},2026-01-01T00:00:00Z\n").encode(encoding)
    with pytest.raises(CommandError, match=f"looks like {encoding}"):
        load(content)
    load(content, encoding=encoding)
    assert titles() == [title]


def test_a_broken_line_in_a_good_file_is_that_lines_fault(load, titles):
    rows = [f"{n},Wire,Title {n},2026-01-01T00:00:0{n}Z".encode() for n in range(6)]
    rows[3] = "3,Wire,Société,2026-01-01T00:00:03Z".encode("latin-1")
    out = load(HEADER.encode() + b"\n".join(rows) + b"\n")
    assert len(titles()) == 5
    assert out.startswith("line 5: Byte")


def test_a_line_of_ten_megabytes_and_nul_characters_are_bad_rows(load, titles):
    out = load(
        HEADER
        + "1,Wire,First,2026-01-01T00:00:00Z\n"
        + f"2,Wire,{'x' * 10_000_000},2026-01-01T00:00:00Z\n"
        + "3,Wire,a\x00b,2026-01-01T00:00:00Z\n"
        + "4,Wire,Fourth,2026-01-01T00:00:01Z\n"
    )
    assert titles() == ["First", "Fourth"]
    assert "line 3: The line is longer" in out
    assert "line 4: title: It contains a NUL character." in out


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("external_id,headline\n1,x\n", "a.csv", "missing: title, published_at"),
        ("x", "a.xlsx", "neither .csv nor .jsonl"),
        (b"\x1f\x8bnot gzip at all", "a.csv.gz", "damaged"),
        ("", "a.csv", "missing: title"),
        (HEADER, "a.csv", "no row"),
    ],
)
def test_a_file_that_is_none_says_so(load, content, name, message):
    with pytest.raises(CommandError, match=message):
        load(content, name)


def test_an_unknown_organisation_is_named(tmp_path):
    (tmp_path / "a.csv").write_text(HEADER)
    with pytest.raises(CommandError, match="no organisation “nobody”"):
        call_command("import_documents", str(tmp_path / "a.csv"), organisation="nobody")


def test_a_replay_stores_each_document_once_and_keeps_its_time(load, titles):
    rows = "".join(f"{n},Wire,Title {n},2026-01-01T0{n}:00:00Z\n" for n in range(5))
    out = load(HEADER + rows, command="replay_documents", speed=None)
    assert "5 new" in out
    assert "5 unchanged" in load(HEADER + rows, command="replay_documents", speed=36_000.0)
    assert titles() == [f"Title {n}" for n in range(5)]
