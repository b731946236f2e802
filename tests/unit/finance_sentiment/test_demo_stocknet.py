from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from apps.finance_sentiment.demo.stocknet import convert, main

REPOSITORY = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("ROOTSTOCK_DATA", REPOSITORY / ".." / "shared" / "data"))
ARCHIVE = DATA / "stocknet" / "stocknet_preprocessed.tar.xz"


def line(text: str, created: str) -> bytes:
    message = {"text": text.split(" "), "created_at": created, "user_id_str": "1"}
    return json.dumps(message).encode() + b"\n"


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def excerpt(tmp_path: Path) -> Path:
    late = line("$ aapl beats , shares up 3.5 %", "Sun Apr 20 19:50:35 +0000 2014")
    early = line("$ aapl quiet", "Sun Apr 20 09:00:00 +0200 2014")
    other = line("café €5 $ brk", "Sat Apr 19 01:02:03 +0000 2014")
    return archive(
        tmp_path / "excerpt.tar.xz",
        {
            "tweet/preprocessed/AAPL/2014-04-20": late + early + b"\n",
            "tweet/preprocessed/BRK-A/2014-04-19": other,
            "price/preprocessed/AAPL.txt": b"2014-04-20\t0.1\n",
        },
    )


def test_excerpt_becomes_documents_in_order_of_time(tmp_path: Path, excerpt: Path) -> None:
    target = tmp_path / "out.jsonl"
    assert convert(excerpt, target) == (3, 0)
    documents = [json.loads(row) for row in target.read_text(encoding="utf-8").splitlines()]
    assert documents == [
        {
            "external_id": "stocknet-BRK-A-2014-04-19-001",
            "source": "StockNet BRK-A",
            "title": "café €5 $brk",
            "published_at": "2014-04-19T01:02:03+00:00",
        },
        {
            "external_id": "stocknet-AAPL-2014-04-20-002",
            "source": "StockNet AAPL",
            "title": "$aapl quiet",
            "published_at": "2014-04-20T07:00:00+00:00",
        },
        {
            "external_id": "stocknet-AAPL-2014-04-20-001",
            "source": "StockNet AAPL",
            "title": "$aapl beats, shares up 3.5%",
            "published_at": "2014-04-20T19:50:35+00:00",
        },
    ]


def test_unreadable_lines_are_named_and_the_rest_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = line("$ ge up", "Sat Apr 19 01:02:03 +0000 2014")
    source = archive(
        tmp_path / "bad.tar.xz",
        {"tweet/preprocessed/GE/2014-04-19": b"{oops\n" + good + b'{"text": 3}\n'},
    )
    assert convert(source, tmp_path / "out.jsonl") == (1, 2)
    errors = capsys.readouterr().err
    assert "GE/2014-04-19 line 1" in errors
    assert "GE/2014-04-19 line 3" in errors


def test_what_is_no_archive_of_messages_is_refused_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.jsonl"
    text = tmp_path / "text.tar.xz"
    text.write_text("not an archive")
    empty = archive(tmp_path / "empty.tar.xz", {"README.md": b"hello"})
    for source in (text, empty, tmp_path / "absent"):
        assert main([str(source), str(target)]) == 1
        assert "convert-stocknet:" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.slow
@pytest.mark.data
def test_whole_set_is_converted_with_unique_ids_the_same_on_every_run(tmp_path: Path) -> None:
    if not ARCHIVE.exists():
        pytest.skip(f"{ARCHIVE} is not there")
    script = REPOSITORY / "script" / "convert-stocknet"
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    out = subprocess.run([script, ARCHIVE, first], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("106338 documents")
    convert(ARCHIVE, second)
    assert first.read_bytes() == second.read_bytes()
    with first.open(encoding="utf-8") as handle:
        ids = [json.loads(row)["external_id"] for row in handle]
    assert len(ids) == len(set(ids)) == 106_338
