"""Generation end to end: learning to reply, packing, taking up a run, and the artefact as a base."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ml_core.data import DataError
from ml_core.models import BaseModelError
from ml_core.registry import Artifact
from ml_core.training import ConfigError, TrainConfig, train

ANSWERS = {"price": "it costs ten", "time": "we open at nine", "place": "near the bridge"}
FILLERS = ("please", "hello", "tell me", "now", "i ask")


def conversation(generator: random.Random, turns: int = 2) -> dict[str, object]:
    messages = []
    for _ in range(turns):
        word = generator.choice(sorted(ANSWERS))
        messages += [
            {"role": "user", "content": f"{generator.choice(FILLERS)} {word}"},
            {"role": "assistant", "content": ANSWERS[word]},
        ]
    return {"messages": messages}


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = random.Random(1)
    rows = [conversation(generator, generator.randint(1, 3)) for _ in range(160)]
    return write_rows(tmp_path_factory.mktemp("chats") / "chats.jsonl", rows)


def options(chats: Path, out: Path, **changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "task": "text-generation",
        "weights": "random",
        "train": chats,
        "out": out,
        "layers": 2,
        "hidden_size": 32,
        "heads": 2,
        "vocabulary_size": 400,
        "max_length": 96,
        "max_new_tokens": 12,
        "epochs": 5,
        "batch_size": 8,
        "dropout": 0.0,
        "learning_rate": 1e-2,
        "judged_replies": 12,
        "device": "cpu",
    }
    return TrainConfig(**values | changes)


@pytest.fixture(scope="module")
def decoder(chats: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return train(
        options(chats, tmp_path_factory.mktemp("models") / "decoder", packing=True, batch_size=2)
    )


@pytest.fixture(scope="module")
def encoder_decoder(chats: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    out = tmp_path_factory.mktemp("models") / "both"
    return train(options(chats, out, architecture="encoder-decoder"))


@pytest.mark.parametrize("kind", ["decoder", "encoder_decoder"])
def test_it_learns_to_reply_and_says_so(kind: str, request: pytest.FixtureRequest) -> None:
    from ml_core.tasks.text_generation import TextGenerationPredictor

    artifact: Artifact = request.getfixturevalue(kind)
    metrics = artifact.manifest.metrics
    assert metrics["headline"] == "chrf"
    assert metrics["chrf"] > 80
    assert metrics["perplexity"] < 2
    predictor = TextGenerationPredictor.load(artifact.path, device="cpu")
    replies = predictor.predict_rows(
        [
            {"prompt": "now price"},
            {"messages": [{"role": "user", "content": "hello time"}]},
            # A reply that stands there already is not read.
            {
                "messages": [
                    {"role": "user", "content": "hello place"},
                    {"role": "assistant", "content": "it costs ten"},
                ]
            },
        ]
    )
    assert replies == [
        {"response": ANSWERS["price"]},
        {"response": ANSWERS["time"]},
        {"response": ANSWERS["place"]},
    ]


def test_a_saved_model_is_judged_as_it_was_in_training(decoder: Artifact, chats: Path) -> None:
    from ml_core.tasks import evaluate_artifact

    report = evaluate_artifact(decoder, chats, device="cpu")
    assert report.count == 12
    assert report.chrf > 80
    assert report.log_likelihood == pytest.approx(
        decoder.manifest.metrics["log_likelihood"], abs=0.1
    )


def test_an_artefact_is_a_base(decoder: Artifact, chats: Path, tmp_path: Path) -> None:
    config = options(
        chats, tmp_path / "on", base=str(decoder.path), weights="pretrained", epochs=1,
        learning_rate=1e-4, choose_by="loss",
    )  # fmt: skip
    artifact = train(config)
    assert artifact.manifest.parent == decoder.digest
    assert artifact.manifest.metrics["headline"] == "log_likelihood"
    assert artifact.manifest.metrics["chrf"] > 80


def task_of(config: TrainConfig):
    import torch

    from ml_core.tasks.reading import read_data
    from ml_core.tasks.text_generation import TextGeneration

    torch.manual_seed(0)
    return TextGeneration(config, read_data(config))


@pytest.mark.parametrize("model_type", ["gpt_neox", "gpt2", "llama"])
def test_packed_texts_have_the_loss_of_padded_ones(
    model_type: str, chats: Path, decoder: Artifact, tmp_path: Path
) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    base = decoder.path
    if model_type != "gpt_neox":
        torch.manual_seed(1)
        base = tmp_path / model_type
        model = (
            GPT2LMHeadModel(
                GPT2Config(
                    vocab_size=400, n_embd=32, n_layer=2, n_head=2, n_positions=96,
                    embd_pdrop=0, attn_pdrop=0, resid_pdrop=0,
                )
            )
            if model_type == "gpt2"
            else LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=96,
                )
            )
        )  # fmt: skip
        model.save_pretrained(base)
        for file in decoder.path.glob("tokenizer*"):
            (base / file.name).write_bytes(file.read_bytes())
        template = decoder.path / "chat_template.jinja"
        (base / template.name).write_bytes(template.read_bytes())
    sums, items, rows = [], [], []
    for packing in (False, True):
        task = task_of(
            options(chats, tmp_path / "x", base=str(base), weights="pretrained", packing=packing)
        )
        features = task.features(task.data.train)
        batch = task.collate(features)
        with torch.no_grad():
            sums.append(float(task.loss(task.model.eval(), batch).total))
        items.append(task.items(batch))
        rows.append(len(features))
    assert items[0] == items[1]
    assert rows[1] < rows[0] / 2
    assert sums[1] == pytest.approx(sums[0], rel=1e-4)


def test_accumulated_batches_have_the_gradient_of_a_large_one(chats: Path, tmp_path: Path) -> None:
    """Items are tokens of replies, not rows: batches of different length count by what is learned in them."""
    weights = []
    for batch_size, accumulation in ((16, 1), (4, 4)):
        out = tmp_path / str(batch_size)
        config = options(
            chats, out, epochs=1, batch_size=batch_size, gradient_accumulation=accumulation,
            learning_rate=1e-3,
        )  # fmt: skip
        weights.append(train(config).manifest.metrics["log_likelihood"])
    assert weights[0] == pytest.approx(weights[1], abs=0.05)


def test_bfloat16_learns_too(chats: Path, tmp_path: Path) -> None:
    artifact = train(
        options(chats, tmp_path / "out", precision="bfloat16", packing=True, batch_size=2)
    )
    assert artifact.manifest.metrics["chrf"] > 60


@pytest.mark.parametrize("architecture", ["decoder", "encoder-decoder"])
def test_a_run_taken_up_ends_as_an_unbroken_one(
    architecture: str, chats: Path, tmp_path: Path
) -> None:
    """Both have tied weights."""
    from ml_core.training import Progress, TrainingCancelled

    changes = {"architecture": architecture, "epochs": 1, "dropout": 0.1, "judged_replies": 2}
    whole = train(options(chats, tmp_path / "whole", **changes))
    broken = options(
        chats, tmp_path / "broken", **changes, checkpoints=tmp_path / "points", checkpoint_minutes=0
    )
    seen: list[Progress] = []
    with pytest.raises(TrainingCancelled):
        train(
            broken,
            on_progress=seen.append,
            should_stop=lambda: any(progress.step > 7 for progress in seen),
        )
    assert list((tmp_path / "points").glob("checkpoint-*"))
    assert train(broken).manifest.metrics == whole.manifest.metrics


def test_what_cannot_be_is_refused(chats: Path, tmp_path: Path, tiny_base: Path) -> None:
    with pytest.raises(ConfigError, match='set weights to "random"'):
        train(options(chats, tmp_path / "a", weights="pretrained"))
    with pytest.raises(ConfigError, match="multiple of the 5 heads"):
        train(options(chats, tmp_path / "a", heads=5))
    with pytest.raises(ConfigError, match="packing: is for decoders"):
        train(options(chats, tmp_path / "a", architecture="encoder-decoder", packing=True))
    with pytest.raises(BaseModelError, match="a bert model cannot write"):
        train(options(chats, tmp_path / "a", base=str(tiny_base), weights="pretrained"))
    one = write_rows(tmp_path / "one.jsonl", [{"prompt": "a", "response": "b"}])
    with pytest.raises(DataError, match="none can be split off"):
        train(options(one, tmp_path / "a"))
    silent = write_rows(tmp_path / "silent.jsonl", [{"prompt": "a"}])
    with pytest.raises(DataError, match="line 1"):
        train(options(silent, tmp_path / "a"))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("kind", ["decoder", "encoder_decoder"])
def test_a_low_rank_change_is_kept_without_its_base(
    kind: str, request: pytest.FixtureRequest, chats: Path, tmp_path: Path
) -> None:
    from ml_core.tasks.text_generation import TextGenerationPredictor

    base: Artifact = request.getfixturevalue(kind)
    artifact = train(
        options(
            chats, tmp_path / "out", base=str(base.path), weights="pretrained", epochs=1, method="lora",
            learning_rate=1e-3,
        )
    )  # fmt: skip
    assert artifact.manifest.adapter_only
    assert artifact.size_bytes < base.size_bytes
    predictor = TextGenerationPredictor.load(artifact, device="cpu")
    assert predictor.predict_rows([{"prompt": "now price"}]) == [{"response": ANSWERS["price"]}]


def test_drawn_replies_are_the_same_for_a_seed(chats: Path, tmp_path: Path) -> None:
    from ml_core.tasks.text_generation import TextGenerationPredictor

    artifact = train(options(chats, tmp_path / "out", epochs=1, temperature=1.5, top_p=0.9))
    predictor = TextGenerationPredictor.load(artifact, device="cpu")
    rows = [{"prompt": f"hello {word}"} for word in ANSWERS]
    assert predictor.predict_rows(rows) == predictor.predict_rows(rows)
