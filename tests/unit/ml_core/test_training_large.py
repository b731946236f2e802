"""A file of a million rows is trained on in bounded memory."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from ml_core_helpers import COMMON, WORDS, run_python

ROWS = 1_000_000
# torch and transformers hold about 0.6 GB before the first row.
BOUND_MB = 1500

PROGRAM = """
import json, resource, sys
from ml_core.training import TrainConfig, train

artifact = train(TrainConfig.from_mapping(json.loads(sys.argv[1])))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"peak_mb": peak, "examples": artifact.manifest.config["train_examples"]}))
"""


@pytest.mark.long
def test_a_million_rows_fit_into_bounded_memory(tiny_base: Path, tmp_path: Path) -> None:
    generator = random.Random(0)
    labels = sorted(WORDS)
    path = tmp_path / "large.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for number in range(ROWS):
            label = labels[number % 3]
            words = generator.choices(COMMON, k=10)
            file.write(f"{' '.join(words)} {WORDS[label][number % 6]} {number},{label}\n")
    options = {
        "train": str(path), "out": str(tmp_path / "m"), "base": str(tiny_base), "epochs": 0,
        "max_length": 16, "validation_fraction": 0.001, "languages": "en", "device": "cpu",
    }  # fmt: skip
    done = run_python("-c", PROGRAM, json.dumps(options))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["examples"] > ROWS * 0.998
    assert found["peak_mb"] < BOUND_MB
