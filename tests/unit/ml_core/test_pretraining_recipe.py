"""Recipes: a toy one from a teacher to an exported base, run again, stopped and taken up, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from ml_core_helpers import REPOSITORY, run_cli
from pretraining_helpers import make_pairs, make_student, write_dictionary, write_jsonl

from ml_core.data import DataError
from ml_core.pretraining import RecipeProgress, RecipeResult, run_recipe
from ml_core.training import ConfigError, TrainingCancelled

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


def test_what_was_made_says_what_it_is(made: tuple[Path, RecipeResult], world: Path) -> None:
    path, result = made
    assert result.ran == ("masked_lm", "distil", "align", "contrast", "export")
    card = (path.parent / "out" / "shipped" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Licence of the weights: MIT" in card
    assert "| align | pairs.jsonl | CC0 |" in card
    assert "translations found" in card
    align = result.records[2]
    assert align.figures["train_rows"] == sum(row["rows"] for row in align.data)
    # Five epochs over all of one file and half of the other.
    assert align.tokens_seen == 5 * align.figures["tokens_per_epoch"]
    report = json.loads((result.out / "report.json").read_text(encoding="utf-8"))
    assert [stage["name"] for stage in report["done"]] == list(result.ran)
    assert report["done"][2]["curve"][-1]["metrics"]["matched"] > 0.8
    assert "## contrast" in (result.out / "REPORT.md").read_text(encoding="utf-8")
    # Nothing of the run is left but what later ones may use: the teacher's embeddings.
    assert not list(result.out.glob("*/work"))
    assert list((result.out / "cache").glob("*.npy"))


def test_the_exported_model_is_a_base(
    made: tuple[Path, RecipeResult], train_csv: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    from ml_core.training import TrainConfig, train

    path, _ = made
    shipped = path.parent / "out" / "shipped"
    weights = load_file(shipped / "model.safetensors")
    assert {str(each.dtype) for each in weights.values()} == {"torch.float16"}
    artifact = train(
        TrainConfig(
            train=train_csv, base=str(shipped), out=tmp_path / "classifier", epochs=1,
            max_length=64, languages=("en",), device="cpu",
        )
    )  # fmt: skip
    assert artifact.manifest.base == "shipped"


def test_a_second_run_does_nothing_and_a_change_only_what_follows_from_it(
    made: tuple[Path, RecipeResult], world: Path
) -> None:
    path, first = made
    seen: list[tuple[str, bool]] = []
    again = run_recipe(path, on_stage=lambda name, _, __, done: seen.append((name, done)))
    assert again.ran == ()
    assert all(done for _, done in seen)
    assert again.records == first.records
    values = recipe(world, first.out)
    values["stages"][4]["licence"] = "CC0"
    changed = write(path.parent / "changed.yaml", values)
    assert run_recipe(changed).ran == ("export",)
    # What the first recipe made is still there.
    assert run_recipe(path).ran == ()


def test_a_recipe_that_was_stopped_goes_on_and_ends_the_same(
    made: tuple[Path, RecipeResult], world: Path, tmp_path: Path
) -> None:
    """The weights are those of an unbroken run: order, dropout and drawn negatives included."""
    _, whole = made
    values = recipe(world, tmp_path / "out")
    values["stages"] = [stage | {"checkpoint_minutes": 0} for stage in values["stages"][:3]]
    path = write(tmp_path / "recipe.yaml", values)
    told: list[RecipeProgress] = []

    def stop() -> bool:
        return bool(told) and told[-1].stage == "align" and told[-1].step >= 30

    with pytest.raises(TrainingCancelled):
        run_recipe(path, on_progress=told.append, should_stop=stop)
    assert (told[-1].number, told[-1].count) == (3, 3)
    result = run_recipe(path)
    assert result.ran == ("align",)
    steps = [point["step"] for point in result.records[2].curve]
    assert steps == sorted(steps)
    ends = [
        (Path(each.out) / f"align-{each.records[2].fingerprint[:10]}" / "output")
        for each in (whole, result)
    ]
    weights = [(end / "model.safetensors").read_bytes() for end in ends]
    assert weights[0] == weights[1]


def test_from_raw_text_to_a_base(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Corpus, vocabulary, alignment and export, with another road from the same corpus beside them."""
    monkeypatch.setenv("TOY", str(tmp_path))
    held_out = make_pairs(40, seed=9)
    rows = [*make_pairs(400), *held_out]
    (tmp_path / "pairs.tsv").write_text(
        "".join(f"{row['en']}\t{row['zh']}\n" for row in rows), encoding="utf-8"
    )
    (tmp_path / "test.txt").write_text(
        "".join(f"{row['zh']}\n" for row in held_out), encoding="utf-8"
    )
    dictionary = write_dictionary(tmp_path / "dictionary.txt")
    with dictionary.open("a", encoding="utf-8") as file:
        file.write("銀 银 [x] /silver/\n")
    values = {
        "out": "$TOY/out",
        "stages": [
            {"stage": "corpus", "validation": 0.1, "near_duplicates": 0,
             "sources": [{"name": "toy", "kind": "pairs", "format": "tsv", "path": "$TOY/pairs.tsv",
                          "columns": ["en", "zh"], "licence": "CC0"}],
             "exclude": [{"name": "test", "format": "text", "path": "$TOY/test.txt"}]},
            {"stage": "vocabulary", "name": "fresh", "corpus": "stage:corpus", "size": 80, "layers": 1,
             "hidden": 32, "heads": 4, "intermediate": 64, "positions": 64},
            {"stage": "vocabulary", "corpus": "stage:corpus", "base": str(tiny_base),
             "characters": 40, "definitions": "$TOY/dictionary.txt", "twins": True},
            {"stage": "align", "pairs": [{"path": "stage:corpus", "source": "toy"}],
             "teacher": str(tiny_base), "learning_rate": 3e-3, "epochs": 2, "source_rows": 0.25,
             **TRAINING},
            {"stage": "distil", "model": "stage:fresh", "texts": "stage:corpus", "column": "en",
             "teacher": str(tiny_base), "learning_rate": 3e-3, "max_length": 32, **TRAINING},
            {"stage": "export", "model": "stage:align", "licence": "CC0",
             "twins": "stage:vocabulary/twins.json"},
        ],
    }  # fmt: skip
    result = run_recipe(write(tmp_path / "recipe.yaml", values))
    corpus, fresh, extended, align, distil, export = result.records
    assert corpus.data == [{"name": "toy", "rows": corpus.data[0]["rows"], "licence": "CC0"}]
    # The held-out sentences were not learned from.
    assert 300 < corpus.data[0]["rows"] + align.figures["count"] <= 400
    # Each source stands once beside its translation and once by itself.
    assert align.figures["train_rows"] == 2 * distil.figures["train_rows"]
    assert fresh.figures["size"] <= 80
    # One more than the corpus has: 銀.
    assert extended.figures["defined"] == 29
    assert extended.figures["twins"] == export.figures["twins"] == 1
    assert align.figures["matched"] > 0.9
    assert export.figures["vocabulary"] == extended.figures["size"]
    card = (result.model / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| corpus | toy | CC0 |" in card
    assert "| align | corpus toy | that of the corpus |" in card
    # The other road is no part of this model's story.
    assert "| fresh |" not in card
    assert "$TOY/pairs.tsv" in card
    assert str(tmp_path) not in card


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"stages": []}, "expected a list of stages"),
        ({"stages": [{"stage": "fly"}]}, "stage 1: expected a mapping with stage: one of corpus"),
        ({"stages": [{"stage": "align", "pairs": "x.tsv"}]}, "no earlier stage makes one"),
        (
            {"stages": [{"stage": "align", "model": "packaged", "pairs": "x.tsv", "epoch": 3}]},
            "stage 'align': unknown setting 'epoch'; did you mean 'epochs'?",
        ),
        (
            {"stages": [{"stage": "align", "model": "packaged", "pairs": "stage:texts"}]},
            "pairs: there is no earlier stage 'texts'",
        ),
        (
            {"stages": [{"stage": "distil", "model": "packaged", "texts": "$NOT_SET_HERE/x.txt"}]},
            "texts: the environment variable NOT_SET_HERE is not set",
        ),
        (
            {
                "stages": [
                    {"stage": "align", "model": "packaged", "pairs": [{"path": "x", "weight": 0}]}
                ]
            },
            "pairs, entry 1: weight: must be above 0",
        ),
        ({"steps": 3}, "unknown key 'steps'"),
    ],
)
def test_a_recipe_that_cannot_run_is_refused_before_anything_runs(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    path = write(tmp_path / "recipe.yaml", {"out": str(tmp_path / "out")} | change)
    with pytest.raises(ConfigError) as refused:
        run_recipe(path)
    assert problem in str(refused.value)
    assert str(path) in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_weights_that_are_too_large_are_not_exported(world: Path, tmp_path: Path) -> None:
    values = {
        "out": str(tmp_path / "out"),
        "stages": [{"stage": "export", "model": str(world / "student"), "max_megabytes": 0.01}],
    }
    with pytest.raises(ConfigError, match=r"the weights are 0\.05 MB in float16, more than 0\.01"):
        run_recipe(write(tmp_path / "recipe.yaml", values))


def test_the_command_says_where_the_model_is(world: Path, tmp_path: Path) -> None:
    values = {
        "out": str(tmp_path / "out"),
        "stages": [{"stage": "export", "model": str(world / "student")}],
    }
    done = run_cli("pretrain", write(tmp_path / "recipe.yaml", values), "--progress", "jsonl")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ran"] == ["export"]
    assert (Path(said["model"]) / "model.safetensors").is_file()
    assert Path(said["report"]).is_file()
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert {line["stage"] for line in lines} == {"export"}
    bad = run_cli("pretrain", tmp_path / "nothing.yaml")
    assert bad.returncode == 2
    assert "nothing.yaml: cannot be read" in bad.stderr


def recipes() -> list[tuple[str, str]]:
    page = (REPOSITORY / "docs" / "pretraining.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    shipped = (REPOSITORY / "docs" / "recipes" / "rootstock_mini.yaml").read_text(encoding="utf-8")
    written = [(f"pretraining.md-{at}", block) for at, block in enumerate(blocks)]
    return [(name, text) for name, text in [*written, ("mini", shipped)] if "stages:" in text]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in recipes()])
def test_written_recipes_can_run(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read whole, settings of every stage included, and stop only at data that is not there."""
    monkeypatch.setenv("ROOTSTOCK_DATA", str(tmp_path / "nowhere"))
    values = yaml.safe_load(text) | {"out": str(tmp_path / "out")}
    with pytest.raises((ConfigError, DataError), match=r"no such file|cannot be read"):
        run_recipe(write(tmp_path / "recipe.yaml", values))
