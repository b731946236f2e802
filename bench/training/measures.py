"""How each line of the benchmark is measured; a function a line, from a configuration to its rows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import crosswoz
from bench.harness import Progress, Row
from bench.training import data, more_methods, peers, recipes
from bench.training.runs import Outcome, evaluate, train, train_and_test

Configuration = dict[str, Any]

# Of the rows that are labelled next: the name of the line and the strategy.
CHOICES = {
    "5 rows a label, the rest chosen (BADGE)": "badge",
    "5 rows a label, the rest by chance": "random",
}
SEARCH = "search of options"


def few_shot(configuration: Configuration, progress: Progress) -> list[Row]:
    """BANKING77 with a few rows of each intent; with ``texts`` the other training rows are read without their labels,
    as a company reads its own dialogues."""
    shots = configuration["shots"]
    split = data.banking77(shots=shots, seed=configuration["seed"])
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        options = dict(recipes.BANKING_FEW)
        if configuration["texts"]:
            path = Path(folder) / "unlabelled.jsonl"
            data.write_texts(data.banking77_others(split), path)
            options |= {"label_propagation": True, "unlabelled": str(path)}
        outcome = train_and_test(options, split, progress)
    aim, published = {10: ("≥ .88", "CPFT .872"), 5: ("≥ .83", "FastFit .824, CPFT .809")}[shots]
    what = "and the others as texts" if configuration["texts"] else "these rows alone"
    return [_row(f"BANKING77, {shots} rows a label", what, outcome, aim, published)]


def full(configuration: Configuration, progress: Progress) -> list[Row]:
    """BANKING77, the official split."""
    outcome = train_and_test(recipes.BANKING_FULL, data.banking77(), progress)
    return [_row("BANKING77", "full fine-tuning", outcome, "≥ .940", "frozen + logistic .932")]


def clinc(configuration: Configuration, progress: Progress) -> list[Row]:
    """CLINC150 with its out-of-scope queries."""
    split = data.clinc150()
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        directory = Path(folder)
        data.write(split, directory)
        # CLINC's own training and validation queries that fit no intent choose the threshold.
        known = directory / "known-outside.jsonl"
        data.write_texts(data.clinc150_outside(), known)
        options = {**recipes.CLINC, "out_of_scope": str(known), "in_scope_accuracy": 0.95}
        artifact, _, seconds, peak = train(options, directory, progress)
        report = evaluate(
            artifact,
            directory / "test.jsonl",
            "--out-of-scope",
            str(directory / "outside.jsonl"),
        )
    outside = report["out_of_scope"]
    cost = {"seconds": seconds, "peak_mb": peak}
    rows = [
        ("in-scope accuracy", report["accuracy"], "≥ .97", "BERT .962"),
        ("out-of-scope recall", outside["recall_at_accuracy"], "≥ .75", "BERT .523"),
        ("out-of-scope AUROC", outside["auroc"], "≥ .97", "frozen, 5-NN .966"),
    ]
    return [
        {"data": "CLINC150", "what": "fine-tuned", "figure": figure, "value": value}
        | {"aim": aim, "published": published, **cost}
        for figure, value, aim, published in rows
    ]


def phrasebank(configuration: Configuration, progress: Progress) -> list[Row]:
    """Financial PhraseBank, one fold."""
    agreement = configuration["agreement"]
    split = data.phrasebank(agreement=agreement, fold=configuration["fold"])
    # Nothing is chosen by the validation part, so it is learned from: four fifths, as in the published figures.
    split = replace(split, train=[*split.train, *split.validation])
    outcome = train_and_test(recipes.PHRASEBANK, split, progress)
    name = f"PhraseBank {agreement}"
    aims = {"50Agree": ("≥ .870", "≥ .855"), "AllAgree": ("≥ .97", None)}[agreement]
    published = {"50Agree": "plain .852/.831", "AllAgree": "FinBERT .97"}[agreement]
    return [
        _row(name, "fine-tuned", outcome, aims[0], published),
        _row(name, "fine-tuned", outcome, aims[1], published, figure="macro_f1"),
    ]


def topics(configuration: Configuration, progress: Progress) -> list[Row]:
    """A Transformer from random weights beside the fine-tuned base."""
    split = data.load(configuration["data"])
    random_weights = configuration["weights"] == "random"
    options = recipes.TOPICS_RANDOM if random_weights else recipes.TOPICS
    outcome = train_and_test(options, split, progress)
    what = "from random weights" if random_weights else "fine-tuned base"
    name = {"bbc": "BBC News (5 topics)", "reuters": "Reuters (10 topics)"}[configuration["data"]]
    return [
        _row(name, what, outcome),
        _row(name, what, outcome, figure="macro_f1"),
    ]


def entities(configuration: Configuration, progress: Progress) -> list[Row]:
    """Entity recognition; entity-level and token-level figures."""
    name = configuration["data"]
    outcome = train_and_test(recipes.shipped(name.replace("-", "_")), data.load(name), progress)
    title = {"wnut17": "WNUT17", "finer-ord": "FiNER-ORD"}[name]
    published = {"wnut17": "BERT-base ~.48, BERTweet .565 (F1)", "finer-ord": None}[name]
    token = outcome.report["tokens"]["averages"]
    rows = [_row(title, "entities", outcome, None, published, figure="f1")]
    for key in ("micro", "macro", "weighted"):
        value = token[key]["f1"]
        rows.append({**rows[0], "figure": f"token F1, {key}", "value": value, "published": None})
    return rows


def images(configuration: Configuration, progress: Progress) -> list[Row]:
    """CIFAR-10, 20,000 training images, a small ResNet from random weights."""
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        directory = Path(folder)
        data.unpack_cifar10(directory)
        options = {
            **recipes.shipped("cifar10"),
            "train": str(directory / "train"),
            "validation": None,
        }
        artifact, _, seconds, peak = train(options, directory, progress)
        report = evaluate(artifact, directory / "test")
    return [
        {
            "data": "CIFAR-10 (20,000)",
            "what": "ResNet-9, random weights",
            "figure": "accuracy",
            "value": report["accuracy"],
            "aim": "≥ .80",
            "seconds": seconds,
            "peak_mb": peak,
        }
    ]


def dialogues(configuration: Configuration, progress: Progress) -> list[Row]:
    """CrossWOZ: a decoder from random weights beside copying the nearest reply."""
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        directory = Path(folder)
        source = data.data_directory() / "crosswoz"
        crosswoz.main(source, directory)
        options = {**recipes.shipped("crosswoz"), "validation": None}
        artifact, _, seconds, peak = train(options, directory, progress)
        found = crosswoz.compare(artifact, source)
    examples = found.pop("examples")
    progress(json.dumps(examples[:3], ensure_ascii=False))
    return [
        {"data": "CrossWOZ", "what": what, "figure": figure, "value": values[key]}
        | ({"seconds": seconds, "peak_mb": peak} if what == "model" else {})
        for what, values in found.items()
        for figure, key in (("chrF", "chrf"), ("BLEU", "bleu"))
    ]


def efficient(configuration: Configuration, progress: Progress) -> list[Row]:
    """A parameter-efficient method at 10-shot BANKING77."""
    method = configuration["method"]
    split = data.banking77(shots=10, seed=configuration["seed"])
    options = {
        **recipes.PLAIN,
        "learning_rate": None,
        "epochs": 20,
        **recipes.EFFICIENT[method],
        "seed": configuration["seed"],
    }
    outcome = train_and_test(options, split, progress)
    row = _row("BANKING77, 10 rows a label", f"method {method}", outcome)
    record = outcome.manifest["options"].get("efficient", {"trained": 1, "parameters": 1})
    share = record["trained"] / record["parameters"]
    size = {
        **row,
        "figure": "artefact MB",
        "value": outcome.size_bytes / 1e6,
        "aim": None if method == "full" else "≤ 2.7",
    }
    return [{**row, "trained_share": 100 * share}, size]


def continual(configuration: Configuration, progress: Progress) -> list[Row]:
    """BANKING77 in three stages of classes, with and without remembering."""
    way = configuration["way"]
    name = "BANKING77 in 3 stages"
    if way == "joint":
        outcome = train_and_test(recipes.CONTINUAL, data.banking77(), progress)
        return [_row(name, "all at once", outcome)]
    options = recipes.CONTINUAL_WAYS[way]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        directory = Path(folder)
        earlier: list[data.Row] = []
        previous: dict[str, Any] = {}
        for stage in range(3):
            split = data.banking77_stages(stage=stage)
            data.write(split, directory)
            if stage and way == "replay":
                replay = directory / f"earlier-{stage}.jsonl"
                replay.write_text("".join(json.dumps(row) + "\n" for row in earlier))
                previous["replay"] = str(replay)
            values = {**recipes.CONTINUAL, **(options if stage else {}), **previous}
            artifact, _, seconds, peak = train(values, directory, progress, name=f"stage-{stage}")
            report = evaluate(artifact, directory / "test.jsonl")
            rows.append(
                {
                    "data": name,
                    "what": f"{way}, after stage {stage + 1}",
                    "figure": "accuracy",
                    "value": report["accuracy"],
                    "seconds": seconds,
                    "peak_mb": peak,
                    "aim": "≥ joint - .03" if way == "replay" and stage == 2 else None,
                }
            )
            earlier += split.train
            previous = {"previous": str(artifact)}
    return rows


def method(configuration: Configuration, progress: Progress) -> list[Row]:
    """One method of the list, on top of the plain recipe, at 10-shot BANKING77."""
    name, seed = configuration["method"], configuration["seed"]
    title = "BANKING77, 10 rows a label"
    if name in recipes.ON_VALIDATED:
        changed = {**recipes.PLAIN, **recipes.ON_VALIDATED[name], "seed": seed}
        return [_row(title, name, more_methods.with_validation(changed, seed, progress))]
    if name in CHOICES:
        return [_row(title, name, more_methods.chosen_rows(CHOICES[name], seed, progress))]
    if name == SEARCH:
        accuracy, found = more_methods.search(seed, progress)
        progress(f"found {found}")
        return [{"data": title, "what": name, "figure": "accuracy", "value": accuracy}]
    split = data.banking77(shots=10, seed=seed)
    options = {**recipes.PLAIN, **recipes.ON.get(name, {}), "seed": seed}
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        if name in recipes.ON_UNLABELLED:
            path = Path(folder) / "unlabelled.jsonl"
            others = data.banking77_others(split)
            data.write_texts(others, path)
            split = data.Split(split.train, others[:770], split.test)
            options |= {**recipes.ON_UNLABELLED[name], "unlabelled": str(path)}
        outcome = train_and_test(options, split, progress)
    return [_row(title, name, outcome)]


def prompt(configuration: Configuration, progress: Progress) -> list[Row]:
    """A prompt for a masked language model beside the plain recipe."""
    return [
        {
            "data": "PhraseBank, 10 rows a label",
            "what": what,
            "figure": "accuracy",
            "value": value,
        }
        for what, values in more_methods.prompts(configuration["seeds"], progress).items()
        for value in values
    ]


def time_to_accuracy(configuration: Configuration, progress: Progress) -> list[Row]:
    """Seconds of training until the test accuracy of BANKING77 is 93.5 %, the evaluations not counted."""
    seconds, best = peers.TIMED[configuration["peer"]](progress)
    base = {"data": "BANKING77", "what": peers.NAMES[configuration["peer"]]}
    return [
        {**base, "figure": "seconds to .935", "value": seconds, "aim": "≥ 2x faster"},
        {**base, "figure": "best accuracy within the hour", "value": best},
    ]


def _row(
    name: str,
    what: str,
    outcome: Outcome,
    aim: str | None = None,
    published: str | None = None,
    *,
    figure: str = "accuracy",
) -> Row:
    return {
        "data": name,
        "what": what,
        "figure": figure,
        "value": outcome.report[figure],
        "aim": aim,
        "published": published,
        "seconds": outcome.seconds,
        "peak_mb": outcome.peak_mb,
    }


LINES: dict[str, Callable[[Configuration, Progress], list[Row]]] = {
    "clinc": clinc,
    "continual": continual,
    "dialogues": dialogues,
    "efficient": efficient,
    "entities": entities,
    "few-shot": few_shot,
    "full": full,
    "images": images,
    "method": method,
    "phrasebank": phrasebank,
    "prompt": prompt,
    "time": time_to_accuracy,
    "topics": topics,
}
