"""Recipes: a toy one from a teacher to an exported base, run again, stopped and taken up, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pretraining_helpers import make_pairs, make_student, write_jsonl

from ml_core.pretraining import RecipeResult, run_recipe

TRAINING = {"device": "cpu", "batch_size": 16, "languages": ["en"]}


@pytest.fixture(scope="module")
def world(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher, a student with Chinese characters that mean nothing yet, and files to learn from."""
    path = tmp_path_factory.mktemp("world")
    make_student(tiny_base, path / "student")
    (path / "teacher").symlink_to(tiny_base)
    write_jsonl(path / "pairs.jsonl", make_pairs(300))
    write_jsonl(path / "more.jsonl", make_pairs(60, seed=5))
    texts = [{"text": row["zh"]} for row in make_pairs(300, seed=1)]
    texts += [{"text": row["en"]} for row in make_pairs(100, seed=2)]
    write_jsonl(path / "texts.jsonl", texts)
    matches = [
        {"anchor": row["zh"][:4], "positive": row["zh"][4:]}
        for row in make_pairs(200, seed=3)
        if len(row["zh"]) > 5
    ]
    write_jsonl(path / "matches.jsonl", matches)
    return path


def recipe(world: Path, out: Path, **changes: object) -> dict[str, object]:
    """A recipe with every stage that trains."""
    stages: list[dict[str, object]] = [
        {"stage": "masked_lm", "model": str(world / "student"), "texts": str(world / "texts.jsonl"),
         "max_length": 32, "learning_rate": 2e-3, "validation_rows": 20, **TRAINING},
        {"stage": "distil", "texts": str(world / "pairs.jsonl"), "column": "en", "hidden": 0.5,
         "teacher": str(world / "teacher"), "learning_rate": 2e-3, "epochs": 2, **TRAINING},
        {"stage": "align", "teacher": str(world / "teacher"), "learning_rate": 5e-3, "epochs": 5,
         "negatives": 16, "contrast": 0.2,
         "pairs": [{"path": str(world / "pairs.jsonl"), "licence": "CC0"},
                   {"path": str(world / "more.jsonl"), "weight": 0.5}], **TRAINING},
        {"stage": "contrast", "pairs": str(world / "matches.jsonl"), "learning_rate": 1e-4,
         "hard_negatives": 1, "validation_rows": 10, **TRAINING},
        {"stage": "export", "licence": "MIT", "to": str(out / "shipped")},
    ]  # fmt: skip
    return {"name": "toy", "out": str(out), "stages": stages} | changes


def write(path: Path, values: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RecipeResult]:
    """The recipe's file and what a run of it made."""
    directory = tmp_path_factory.mktemp("recipe")
    path = write(directory / "recipe.yaml", recipe(world, directory / "out"))
    return path, run_recipe(path)


def test_a_student_learns_the_second_language(made: tuple[Path, RecipeResult], world: Path) -> None:
    """Sentences that no stage was trained on find their translations, and English stays where the teacher has it."""
    from ml_core.models.embedding import EmbeddingPredictor

    _, result = made
    assert result.model is not None
    rows = make_pairs(100, seed=9)
    student = EmbeddingPredictor.from_base(result.model, device="cpu")
    chinese, english = (student.embed([row[side] for row in rows]) for side in ("zh", "en"))
    found = (chinese @ english.T).argmax(1)
    assert (found == list(range(100))).mean() > 0.8
    before = EmbeddingPredictor.from_base(world / "student", device="cpu")
    nothing = (
        before.embed([row["zh"] for row in rows]) @ before.embed([row["en"] for row in rows]).T
    )
    assert (nothing.argmax(1) == list(range(100))).mean() < 0.3
