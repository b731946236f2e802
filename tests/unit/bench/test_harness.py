"""Benchmarks resume, forget what is stale, and go on after a failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import harness
from bench.harness import Column, Result, Row, Section, run_section, table

Run = Callable[..., Result]


def silent(text: str) -> None:
    """No progress."""


@pytest.fixture
def calls() -> list[int]:
    return []


@pytest.fixture
def section(calls: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Section:
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    (tmp_path / "code.py").write_text("one")

    def measure(configuration: dict[str, Any], progress: harness.Progress) -> list[Row]:
        calls.append(configuration["size"])
        if configuration["size"] == 13:
            raise ValueError("unlucky")
        return [{"size": configuration["size"], "rate": configuration["size"] * 1.5}]

    return Section(
        name="demo",
        title="A demonstration",
        columns=(Column("size", "size"), Column("rate", "items/s", ".1f"), Column("peer", "peer")),
        configurations=lambda: [{"size": 1}, {"size": 20}],
        measure=measure,
        sources=("code.py",),
        packages=("pytest",),
    )


def test_finished_rows_are_kept(section: Section, calls: list[int], tmp_path: Path) -> None:
    first = run_section(section, tmp_path / "store", silent, fresh=False)
    second = run_section(section, tmp_path / "store", silent, fresh=False)
    assert calls == [1, 20]
    assert second.rows == first.rows
    assert second.measured == 0


def test_a_run_that_was_cut_off_goes_on_where_it_stopped(
    section: Section, calls: list[int], tmp_path: Path
) -> None:
    half = replace(section, configurations=lambda: [{"size": 1}])
    run_section(half, tmp_path / "store", silent, fresh=False)
    result = run_section(section, tmp_path / "store", silent, fresh=False)
    assert calls == [1, 20]
    assert [row["size"] for row in result.rows] == [1, 20]


def test_changed_code_is_measured_again(section: Section, calls: list[int], tmp_path: Path) -> None:
    run_section(section, tmp_path / "store", silent, fresh=False)
    (tmp_path / "code.py").write_text("two")
    run_section(section, tmp_path / "store", silent, fresh=False)
    assert calls == [1, 20, 1, 20]


def test_fresh_measures_again(section: Section, calls: list[int], tmp_path: Path) -> None:
    run_section(section, tmp_path / "store", silent, fresh=False)
    run_section(section, tmp_path / "store", silent, fresh=True)
    assert calls == [1, 20, 1, 20]


def test_one_failure_is_told_and_stops_nothing(section: Section, tmp_path: Path) -> None:
    section = replace(section, configurations=lambda: [{"size": 13}, {"size": 2}])
    result = run_section(section, tmp_path / "store", silent, fresh=False)
    assert [row["size"] for row in result.rows] == [2]
    assert result.errors == ["{'size': 13}: ValueError: unlucky"]


def test_a_source_that_does_not_exist_is_an_error(section: Section, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"names gone\.py"):
        run_section(replace(section, sources=("gone.py",)), tmp_path, silent, fresh=False)


def test_the_table_aligns_and_shows_what_is_missing(section: Section) -> None:
    rows = [{"size": 1, "rate": 2.25, "peer": "a"}, {"size": 100, "rate": None, "peer": "longer"}]
    assert table(section, rows).splitlines() == [
        "size  items/s  peer",
        "----  -------  ------",
        "   1      2.2  a",
        " 100        –  longer",
    ]
