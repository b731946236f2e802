"""The command line, as a subprocess: what it prints, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ml_core_helpers import REPOSITORY, run_cli, write_csv

from ml_core.__main__ import main
from ml_core.registry import Artifact


@pytest.fixture(scope="module")
def train_flags(tiny_base: Path, train_csv: Path) -> list[object]:
    return ["--train", train_csv, "--base", tiny_base, "--max-length", 64, "--device", "cpu"]


def test_train_evaluate_predict(
    train_flags: list[object],
    test_csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("epochs: 99\nlearning_rate: 3e-3\n")
    out, lines = tmp_path / "model", tmp_path / "progress.jsonl"
    done = run_cli(
        "train", *train_flags, "--out", out, "--config", config, "--epochs", 4,
        "--progress", "jsonl", "--progress-file", lines,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["artifact"] == str(out)
    assert 0 <= last["macro_f1"] <= 1
    assert last["digest"] == Artifact.open(out).digest
    progress = [json.loads(line) for line in lines.read_text().splitlines()]
    assert progress[-1]["phase"] == "save"
    assert progress[-1]["total_steps"] == 28, "the flag wins over the file"

    assert main(["evaluate", str(out), "--data", str(test_csv)]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["count"] == 90
    assert {"accuracy", "macro_f1"} <= set(report)

    only_text = tmp_path / "texts.jsonl"
    only_text.write_text('{"body": "profit rises"}\n{"body": "银行 falls"}\n', encoding="utf-8")
    assert main(["predict", str(out), "--data", str(only_text), "--text-column", "body"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["profit rises", "银行 falls"]
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)


def test_progress_and_result_share_stdout(train_flags: list[object], tmp_path: Path) -> None:
    done = run_cli(
        "train", *train_flags, "--out", tmp_path / "model", "--epochs", 0,
        "--progress", "jsonl", "--progress-file", "fd:1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *progress, result = [json.loads(line) for line in done.stdout.splitlines()]
    assert progress[-1]["phase"] == "save"
    assert result["artifact"] == str(tmp_path / "model")


def test_bad_input_is_one_line_and_exit_code_2(
    artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\nx\n")
    good = tmp_path / "good.csv"
    good.write_text("text\nx\n")
    options = tmp_path / "bad.yaml"
    options.write_text("epoch: 3\ntrain: x.csv\nout: y\n")
    calls = {
        "line 2: 1 fields where": ["evaluate", artifact.path, "--data", bad],
        "unknown option 'epoch'": ["train", "--config", options],
        "train: missing": ["train", "--out", tmp_path / "m"],
        "no such directory": ["evaluate", tmp_path / "none", "--data", bad],
        "line 2": ["predict", artifact.path, "--data", bad],
        "'abacus' is unknown": ["predict", artifact.path, "--data", good, "--device", "abacus"],
        "NO_SUCH_TOKEN": [
            "serve", "--address", "unix:///tmp/a.sock", "--allowed-root", tmp_path,
            "--token-env", "NO_SUCH_TOKEN",
        ],
        "nowhere: no such directory": [
            "serve", "--address", "unix:///tmp/a.sock", "--allowed-root", tmp_path / "nowhere",
        ],
    }  # fmt: skip
    for expected, arguments in calls.items():
        assert main([str(argument) for argument in arguments]) == 2
        printed = capsys.readouterr()
        assert expected in printed.err
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        assert not printed.out


def test_a_broken_training_file_ends_the_process_with_code_2(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\nx,y\nx\n")
    done = run_cli("train", "--train", bad, "--out", tmp_path / "m")
    assert done.returncode == 2
    assert done.stderr == f"error: {bad}, line 3: 1 fields where the header has 2\n"
    assert not (tmp_path / "m").exists()


def test_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in ("--learning-rate", "--no-overwrite", "--max-memory-mb", "--progress-file"):
        assert flag in text


def test_help_comes_without_the_seconds_that_torch_takes() -> None:
    program = (
        "import sys\n"
        "from ml_core.__main__ import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "mine-negatives" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_sigterm_stops_and_leaves_nothing(train_flags: list[object], tmp_path: Path) -> None:
    out = tmp_path / "model"
    arguments = ["train", *train_flags, "--out", out, "--epochs", 100_000, "--progress", "jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ml_core", *map(str, arguments), "--early-stopping-patience", "0"],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line)["step"] > 3:
                break
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "error: stopped on request; nothing was saved"
    assert stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_too_much_memory_ends_the_run_with_a_reason(
    train_flags: list[object], tmp_path: Path
) -> None:
    done = run_cli("train", *train_flags, "--out", tmp_path / "m", "--max-memory-mb", 150)
    assert done.returncode == 137
    assert "memory limit" in done.stderr
    assert "150 MiB are allowed" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_packaged_base_learns(tmp_path: Path) -> None:
    """Real words, few examples: the packaged MiniLM tells good news from bad."""
    rows = [(f"{subject} {end}", label)
            for subject in ("The bank's profit", "Shares of the car maker", "The chip group's revenue",
                            "The airline's order book", "The retailer's earnings", "The insurer's margin")
            for end, label in (("rose sharply and beat all forecasts", "positive"),
                               ("jumped to a record high", "positive"),
                               ("slumped after a profit warning", "negative"),
                               ("fell on heavy losses", "negative"))]  # fmt: skip
    data = write_csv(tmp_path / "train.csv", rows)
    test = write_csv(
        tmp_path / "test.csv",
        [
            ("Oil producer's income climbed well above expectations", "positive"),
            ("The telecom company's sales plunged", "negative"),
            ("Steel maker reports its strongest quarter ever", "positive"),
            ("The builder collapsed under its debts", "negative"),
        ],
    )
    done = run_cli(
        "train", "--train", data, "--validation", data, "--base", "packaged",
        "--out", tmp_path / "m", "--epochs", 12, "--batch-size", 8, "--max-length", 32,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["languages"] == ["en"]
    report = json.loads(run_cli("evaluate", tmp_path / "m", "--data", test).stdout)
    assert report["accuracy"] >= 0.75
