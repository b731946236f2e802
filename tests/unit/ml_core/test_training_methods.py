"""Each method does what it says, seen on the gradients, the weights or what a model learns."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ml_core_helpers import WORDS, make_rows, write_csv

from ml_core.training import ConfigError, TrainConfig, train
from ml_core.training.config import TrainConfig as Config
from ml_core.training.methods import Run
from ml_core.training.methods.adversarial import Adversarial
from ml_core.training.methods.averaging import WeightAveraging
from ml_core.training.methods.contrastive import ContrastiveFirst
from ml_core.training.methods.head_start import pooled_states
from ml_core.training.methods.mixup import Mixup
from ml_core.training.methods.r_drop import RDrop
from ml_core.training.progress import Reporter

Options = dict[str, object]


@pytest.fixture(scope="module")
def calm_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base without dropout."""
    base = Path(shutil.copytree(tiny_base, tmp_path_factory.mktemp("calm") / "base"))
    values = json.loads((base / "config.json").read_text())
    values |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps(values))
    return base


def run_of(base: Path, tiny_options: Options, **changes: object) -> Run:
    """A run at the moment before its methods begin, and a batch of its rows."""
    from ml_core.tasks import task_class
    from ml_core.tasks.reading import read_data

    values = tiny_options | {"base": str(base), "dropout": 0.0, "out": Path("nowhere")} | changes
    config = Config(**values)
    torch.manual_seed(0)
    task = task_class("text-classification")(config, read_data(config))
    quiet = Reporter(lambda _: None, lambda: False)
    return Run(config=config, task=task, reporter=quiet, device=torch.device("cpu"))


def batch_of(run: Run, count: int = 12) -> dict[str, Any]:
    features = run.task.features(run.task.data.train[:count])
    return run.task.collate(list(features))


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None
    }


@pytest.mark.parametrize("kind", ["fgm", "pgd"])
def test_adversarial_training_adds_the_gradient_at_the_pushed_embeddings(
    kind: str, calm_base: Path, tiny_options: Options
) -> None:
    run = run_of(
        calm_base, tiny_options, adversarial=kind, adversarial_epsilon=0.7, adversarial_steps=3
    )
    model, task, batch = run.task.model.train(), run.task, batch_of(run)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    plain_loss = task.loss(model, batch).total
    plain_loss.backward()
    plain = gradients(model)

    # By hand: embeddings in, their gradient out, the push along it.
    model.zero_grad()
    embedded = model.encoder.get_input_embeddings()(batch["input_ids"]).detach()

    def loss_at(push: torch.Tensor) -> torch.Tensor:
        hook = model.encoder.get_input_embeddings().register_forward_hook(
            lambda _, __, output: output + push
        )
        try:
            return task.loss(model, batch).total
        finally:
            hook.remove()

    def unit(rows: torch.Tensor) -> torch.Tensor:
        return rows / rows.flatten(1).norm(dim=1).view(-1, 1, 1)

    push = torch.zeros_like(embedded)
    for step in range(3 if kind == "pgd" else 1):
        leaf = push.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss_at(leaf), leaf)
        push = push + (0.35 if kind == "pgd" else 0.7) * unit(slope)
        norm = push.flatten(1).norm(dim=1).view(-1, 1, 1)
        push = push * (0.7 / norm).clamp_max(1.0) if kind == "pgd" and step else push
    pushed_loss = loss_at(push)
    pushed_loss.backward()
    expected = {name: plain[name] + grad for name, grad in gradients(model).items()}
    assert pushed_loss > plain_loss, "the push goes where the loss grows"

    model.zero_grad()
    method = Adversarial(run.config)
    method.prepare_model(run)
    task.loss(model, batch).total.backward()

    def backward() -> None:
        task.loss(model, batch).total.backward()

    method.after_backward(model, batch, backward)
    found = gradients(model)
    assert found.keys() == expected.keys()
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=1e-3, atol=1e-5, msg=name)
    for name, each in model.named_parameters():
        assert torch.equal(each, before[name]), "the weights are where they were"
    # Nothing stays behind: the next plain pass is plain, and so is evaluation.
    assert task.loss(model, batch).total.item() == pytest.approx(plain_loss.item(), rel=1e-6)


def test_r_drop_costs_disagreement_only(
    tiny_base: Path, calm_base: Path, tiny_options: Options
) -> None:
    calm = run_of(calm_base, tiny_options, r_drop=4.0)
    batch = batch_of(calm)
    plain = calm.task.loss(calm.task.model.train(), batch).total
    same = RDrop(calm.config).wrap_loss(calm.task.loss)(calm.task.model, batch).total
    torch.testing.assert_close(same, plain, msg="two passes that agree cost nothing more")

    noisy = run_of(tiny_base, tiny_options, r_drop=4.0, dropout=0.5)
    model = noisy.task.model.train()
    with torch.no_grad():
        model.classifier.weight.mul_(50)
    both = [noisy.task.loss, RDrop(noisy.config).wrap_loss(noisy.task.loss)]
    weak = RDrop(replace(noisy.config, r_drop=1e-9)).wrap_loss(noisy.task.loss)
    totals = []
    for loss in (both[1], weak):
        torch.manual_seed(1)
        totals.append(loss(model, batch).total)
    assert totals[0] > totals[1] * 1.01, "passes that differ do"


def test_mixup_is_the_loss_of_mixed_states_and_labels(
    calm_base: Path, tiny_options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(calm_base, tiny_options, mixup=0.4)
    model, task, batch = run.task.model.train(), run.task, batch_of(run)
    partner = torch.arange(len(batch["labels"])).roll(1)
    monkeypatch.setattr(torch, "randperm", lambda count: partner)
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda self: torch.tensor(0.3))
    method = Mixup(run.config)
    method.prepare_model(run)
    found = method.wrap_loss(task.loss)(model, batch)
    states = model.pool(batch["input_ids"], batch["attention_mask"])
    logits = model.classifier(0.3 * states + 0.7 * states[partner])
    labels = batch["labels"]
    expected = 0.3 * task.criterion(logits, labels) + 0.7 * task.criterion(logits, labels[partner])
    torch.testing.assert_close(found.total, expected.sum())
    plain = task.loss(model, batch).logits
    torch.testing.assert_close(plain, model.classifier(states), msg="only inside the mixed loss")


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_averages_of_weights_are_judged_and_kept(
    kind: str, calm_base: Path, tiny_options: Options, tmp_path: Path
) -> None:
    run = run_of(calm_base, tiny_options, weight_averaging=kind, ema_decay=0.9)
    model, method = run.task.model, WeightAveraging(run.config)
    seen, average = [], None
    for step in range(1, 9):
        with torch.no_grad():
            model.classifier.weight.fill_(float(step))
        method.after_step(model, step, 8)
        if kind == "swa" and step >= 4:
            seen.append(step)
        if kind == "ema":
            share = 1.0 if average is None else 1 - min(0.9, (1 + step) / (10 + step))
            average = step if average is None else average + share * (step - average)
    wanted = float(np.mean(seen)) if kind == "swa" else float(average or 0)
    with method.evaluation_weights(model):
        assert model.classifier.weight[0, 0].item() == pytest.approx(wanted, rel=1e-5)
    assert model.classifier.weight[0, 0].item() == 8.0, "training goes on with its own"
    other = WeightAveraging(run.config)
    other.load_state_dict(method.state_dict())
    with other.evaluation_weights(model):
        assert model.classifier.weight[0, 0].item() == pytest.approx(wanted, rel=1e-5)

    from ml_core.evaluation import evaluate

    dev = write_csv(tmp_path / "dev.csv", make_rows(60, seed=9))
    options = tiny_options | {"epochs": 2, "validation": dev, "weight_averaging": kind}
    averaged = train(TrainConfig(**options, out=tmp_path / "averaged"))
    figures = evaluate(averaged, dev)
    assert figures.accuracy == pytest.approx(averaged.manifest.metrics["accuracy"], abs=1e-6)
    assert figures.nll == pytest.approx(averaged.manifest.metrics["nll"], abs=1e-4)


def test_each_layer_has_its_rate(calm_base: Path, tiny_options: Options) -> None:
    from ml_core.training.optimiser import build_optimiser

    run = run_of(
        calm_base, tiny_options, layer_decay=0.5, head_learning_rate=0.1, weight_decay=0.02
    )
    model = run.task.model
    optimiser = build_optimiser(model, run.task.encoder(), run.config, 0.01)
    rates, decays = {}, {}
    for group in optimiser.param_groups:
        for each in group["params"]:
            rates[id(each)], decays[id(each)] = group["lr"], group["weight_decay"]
    for name, each in model.named_parameters():
        if name.startswith("classifier"):
            wanted = 0.1
        elif ".layer.1." in name:
            wanted = 0.01
        elif ".layer.0." in name:
            wanted = 0.005
        else:
            wanted = 0.0025
        assert rates[id(each)] == pytest.approx(wanted), name
        assert decays[id(each)] == (0.02 if each.ndim > 1 else 0), name
    assert len(rates) == len(list(model.parameters()))


def test_contrastive_passes_pull_a_labels_texts_together(
    calm_base: Path, tiny_options: Options
) -> None:
    run = run_of(calm_base, tiny_options, contrastive_epochs=6, learning_rate=3e-3)
    rows = run.task.data.validation
    labels = np.array([row.label for row in rows])
    same = labels[:, None] == labels[None, :]

    def gap() -> float:
        states = pooled_states(run, [row.text for row in rows])
        unit = states / np.linalg.norm(states, axis=1, keepdims=True)
        cosines = unit @ unit.T
        return float(cosines[same].mean() - cosines[~same].mean())

    before = gap()
    ContrastiveFirst(run.config).prepare_model(run)
    assert gap() > before + 0.1


def test_a_head_knows_something_before_the_first_step(
    tiny_options: Options, tmp_path: Path
) -> None:
    descriptions = tmp_path / "labels.yaml"
    descriptions.write_text(
        "".join(f"{label}: {' '.join(words)}\n" for label, words in WORDS.items())
    )
    dev = write_csv(tmp_path / "dev.csv", make_rows(90, seed=6))
    options = tiny_options | {"epochs": 0, "validation": dev}
    accuracy = {
        start: train(
            TrainConfig(
                **options,
                head_start=start,
                label_descriptions=descriptions if start == "labels" else None,
                out=tmp_path / start,
            )
        ).manifest.metrics["accuracy"]
        for start in ("random", "fitted", "labels")
    }
    assert accuracy["fitted"] > max(0.45, accuracy["random"])
    assert accuracy["labels"] > 0.36
    descriptions.write_text("positive: good\n")
    with pytest.raises(ConfigError, match="has none for negative, neutral"):
        train(
            TrainConfig(
                **options, head_start="labels", label_descriptions=descriptions, out=tmp_path / "m"
            )
        )


def test_the_words_of_the_labels_are_rows_to_learn_from(
    tiny_options: Options, tmp_path: Path
) -> None:
    descriptions = tmp_path / "labels.yaml"
    descriptions.write_text(
        "".join(f"{label}: {' '.join(words)}\n" for label, words in WORDS.items())
    )
    # The rows themselves say nothing about their labels.
    empty = write_csv(
        tmp_path / "train.csv", [(f"text {n}", label) for n, label in enumerate(WORDS)]
    )
    options = tiny_options | {
        "train": empty,
        "validation": write_csv(tmp_path / "dev.csv", make_rows(90, seed=6)),
        "label_descriptions": descriptions,
        "head_start": "fitted",
        "epochs": 0,
    }
    without = train(TrainConfig(**options, out=tmp_path / "without"))
    having = train(TrainConfig(**options, label_rows=True, out=tmp_path / "with"))
    assert having.manifest.metrics["accuracy"] > without.manifest.metrics["accuracy"]


@pytest.fixture(scope="module")
def stages(tiny_options: Options, tmp_path_factory: pytest.TempPathFactory) -> Options:
    """A version that knows two labels, the rows it learned, and rows of a third."""
    directory = tmp_path_factory.mktemp("stages")
    rows = make_rows(600, seed=11)
    old = write_csv(directory / "old.csv", [row for row in rows if row[1] != "positive"])
    held = [row for row in make_rows(120, seed=12) if row[1] != "positive"]
    new = [row for row in rows if row[1] == "positive"]
    first = train(TrainConfig(**(tiny_options | {"train": old}), out=directory / "first"))
    return tiny_options | {
        "train": write_csv(directory / "new.csv", new),
        "validation": write_csv(directory / "dev.csv", make_rows(60, seed=14)),
        "previous": first.path,
        "earlier": (str(write_csv(directory / "held.csv", held)),),
        "epochs": 4,
        "keep": "last",
        "learning_rate": 5e-3,
    }


def test_going_on_from_a_version_without_forgetting_it(stages: Options, tmp_path: Path) -> None:
    old = Path(str(stages["previous"])).parent / "old.csv"
    ways: dict[str, Options] = {
        "naive": {},
        "replay": {"replay": old, "replay_fraction": 0.1},
        "distillation": {"distillation": 3.0},
        "ewc": {"replay": old, "replay_fraction": 0.1, "ewc": 100.0},
    }
    forgetting = {}
    for name, changes in ways.items():
        artifact = train(TrainConfig(**(stages | changes), out=tmp_path / name))
        assert artifact.manifest.labels == ("negative", "neutral", "positive")
        assert artifact.manifest.parent
        record = artifact.manifest.options["forgetting"]["held.csv"]
        assert record["forgetting"] == pytest.approx(record["before"] - record["after"])
        forgetting[name] = record["forgetting"]
        if "replay" in changes:
            assert artifact.manifest.options["replay"]["rows"] == 40
    assert forgetting["naive"] > 0.2
    for name in ("replay", "distillation", "ewc"):
        assert forgetting[name] < forgetting["naive"], name


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"distillation": 1.0}, "previous: missing"),
        ({"ewc": 1.0, "previous": "artifact"}, "replay: missing"),
        ({"pseudo_labels": True}, "unlabelled: missing"),
        ({"augmentation": ("mention",)}, "augmentation: mention is not for text-classification"),
        ({"merge_adapter": True}, "merge_adapter: is for lora and adalora"),
        ({"head_start": "labels", "label_template": "x"}, "label_template: must contain"),
    ],
)
def test_what_a_method_needs_is_named(
    changes: Options, problem: str, tiny_options: Options, artifact: Any, tmp_path: Path
) -> None:
    if "previous" in changes:
        changes = changes | {"previous": artifact.path}
    with pytest.raises(ConfigError, match=problem):
        train(TrainConfig(**(tiny_options | {"epochs": 1} | changes), out=tmp_path / "m"))
    assert not (tmp_path / "m").exists()


def test_more_rows_from_variants_models_and_rules(tiny_options: Options, tmp_path: Path) -> None:
    rows = make_rows(240, seed=21)
    unlabelled = tmp_path / "texts.csv"
    unlabelled.write_text("text\n" + "".join(f"{text}\n" for text, _ in make_rows(60, seed=22)))
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        json.dumps(
            {"rules": [{"label": label, "phrases": words[:4]} for label, words in WORDS.items()]}
        )
    )
    dev = write_csv(tmp_path / "dev.csv", make_rows(120, seed=23))
    options = tiny_options | {
        "train": write_csv(tmp_path / "rows.csv", rows),
        "validation": dev,
        "epochs": 6,
    }
    ways: dict[str, Options] = {
        "augmentation": {"augmentation": ("typo", "swap"), "augmentation_per_row": 2},
        "pseudo_labels": {
            "pseudo_labels": True, "unlabelled": unlabelled, "pseudo_label_precision": 0.5,
        },
        "rules": {"rules": rules, "unlabelled": unlabelled},
    }  # fmt: skip
    made = {
        name: train(TrainConfig(**(options | changes), out=tmp_path / name))
        for name, changes in ways.items()
    }
    records = {name: artifact.manifest.options for name, artifact in made.items()}
    variants = records["augmentation"]["augmentation"]
    assert variants["rows"] == 240
    assert 240 < variants["variants"] <= 480
    assert made["augmentation"].manifest.config["train_examples"] == 240 + variants["variants"]
    assert 0 < records["pseudo_labels"]["pseudo_labels"]["taken"] <= 60
    assert records["pseudo_labels"]["pseudo_labels"]["texts"] == 60
    assert 0 < records["rules"]["weak_labels"]["taken"] <= 60
    assert len(records["rules"]["rules"]) == 3
    assert "rules.json" in made["rules"].manifest.files
    for artifact in made.values():
        assert artifact.manifest.config["validation_examples"] == 120
        assert "## Training" in artifact.card
    assert "labelled by a first model" in made["pseudo_labels"].card


def test_an_ensemble_is_one_model_and_no_worse(tiny_options: Options, tmp_path: Path) -> None:
    dev = write_csv(tmp_path / "dev.csv", make_rows(90, seed=31))
    options = tiny_options | {"epochs": 1, "validation": dev}
    single = train(TrainConfig(**options, out=tmp_path / "one"))
    several = train(TrainConfig(**options, ensemble=3, out=tmp_path / "three"))
    record = several.manifest.options["ensemble"]
    assert record["trained"] == 3
    assert 1 <= record["averaged"] <= 3
    assert several.manifest.metrics["macro_f1"] >= single.manifest.metrics["macro_f1"]
    size = {
        each.path: each.path.joinpath("model.safetensors").stat().st_size
        for each in (single, several)
    }
    assert len(set(size.values())) == 1
