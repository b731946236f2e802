"""Methods that are more than options of one training: what is labelled next, a search, rules, prompts."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import yaml

from bench.harness import Progress
from bench.training import data, recipes
from bench.training.runs import Outcome, evaluate, run, train, train_and_test

_SHOTS = 10


def with_validation(options: dict[str, Any], seed: int, progress: Progress) -> Outcome:
    """A training that chooses by rows it does not learn from: 770 more of the official training part."""
    split = _split_with_validation(seed)
    if options.pop("rules", None):
        with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
            path = Path(folder) / "rules.yaml"
            path.write_text(yaml.safe_dump({"rules": recipes.RULES}), encoding="utf-8")
            return train_and_test({**options, "rules": str(path)}, split, progress)
    return train_and_test(options, split, progress)


def chosen_rows(strategy: str, seed: int, progress: Progress) -> Outcome:
    """Five rows of each label, and as many that ``python -m ml_core select`` chooses with a model of the first."""
    first = data.banking77(shots=_SHOTS // 2, seed=seed)
    pool = data.banking77_others(first)
    options = {**recipes.PLAIN, "seed": seed}
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        directory = Path(folder)
        data.write(first, directory)
        artifact, *_ = train(options, directory, progress)
        texts = directory / "pool.jsonl"
        data.write_texts(pool, texts)
        printed = run(
            [
                "select", str(artifact), "--data", str(texts), "--count", str(len(first.train)),
                "--strategy", strategy, "--seed", str(seed),
            ]
        )  # fmt: skip
    labels = {row["text"]: row for row in pool}
    chosen = [labels[json.loads(line)["text"]] for line in printed.splitlines()]
    split = data.Split([*first.train, *chosen], first.validation, first.test)
    return train_and_test(options, split, progress)


def search(seed: int, progress: Progress) -> tuple[float, dict[str, Any]]:
    """(test accuracy, options found) of a search over `recipes.SEARCH_SPACE`."""
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        directory = Path(folder)
        data.write(_split_with_validation(seed), directory)
        config, space = directory / "config.yaml", directory / "space.yaml"
        files = {part: str(directory / f"{part}.jsonl") for part in ("train", "validation")}
        config.write_text(yaml.safe_dump({**recipes.PLAIN, "seed": seed, **files}))
        space.write_text(yaml.safe_dump(recipes.SEARCH_SPACE))
        progress(f"search of {recipes.SEARCH_TRIALS} trials")
        found = json.loads(
            run(
                [
                    "search", "--config", str(config), "--space", str(space),
                    "--trials", str(recipes.SEARCH_TRIALS), "--out", str(directory / "found"),
                ]
            ).splitlines()[-1]
        )  # fmt: skip
        return _accuracy(found["artifact"], directory), found["options"]


def prompts(seeds: int, progress: Progress) -> dict[str, list[float]]:
    """Test accuracies on PhraseBank (fold 0), ten rows of each label, of the plain recipe and of a prompt, both from a
    masked language model that read the other training sentences; and of the prompt without any rows."""
    whole = data.phrasebank()
    found: dict[str, list[float]] = {name: [] for name in recipes.PROMPTS}
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        directory = Path(folder)
        data.write(data.Split(whole.train, whole.validation, whole.test), directory)
        base, *_ = train(recipes.PROMPT_BASE, directory, progress, name="base")
        words = directory / "words.yaml"
        words.write_text(yaml.safe_dump(recipes.PROMPT_WORDS), encoding="utf-8")
        for seed in range(seeds):
            rows = data.few(whole.train, _SHOTS, seed)
            data.write(data.Split(rows, rows, whole.test), directory)
            for name, changes in recipes.PROMPTS.items():
                options = {**recipes.PLAIN, "base": str(base), "max_length": 96, "seed": seed}
                if "prompt_template" in changes:
                    options["verbalisers"] = str(words)
                artifact, *_ = train({**options, **changes, "overwrite": True}, directory, progress)
                found[name].append(_accuracy(artifact, directory))
    return found


def _accuracy(artifact: Path | str, directory: Path) -> float:
    accuracy: float = evaluate(artifact, directory / "test.jsonl")["accuracy"]
    return accuracy


def _split_with_validation(seed: int) -> data.Split:
    split = data.banking77(shots=_SHOTS, seed=seed)
    others = data.banking77_others(split)
    random.Random(seed).shuffle(others)
    return data.Split(split.train, others[: len(split.train)], split.test)
