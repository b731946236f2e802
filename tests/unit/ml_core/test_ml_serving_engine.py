"""The engine: every task says what its own predictor says, however texts, heads and adapters are mixed."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from serving_models import TEXTS, change_card, rehash, running, write_model, write_models

from ml_core.models import Predictor
from ml_core.models.embedding import EmbeddingPredictor
from ml_core.models.reranking import RerankingPredictor
from ml_core.serving.backends import EncoderBatch
from ml_core.serving.engine import Engine
from ml_core.serving.errors import (
    DeadlineExceeded,
    InferenceError,
    InferenceUnavailable,
    ModelNotLoaded,
    Overloaded,
)
from ml_core.serving.protocol import PredictRequest, PredictResult, read_vectors
from ml_core.tasks import predictor_class

CLASSIFIERS = ("one", "head-0", "head-1", "lora-0", "lora-1", "prefix")
PAIRS = [{"query": a, "document": b} for a, b in zip(TEXTS[:12], TEXTS[12:24], strict=True)]


@pytest.fixture(scope="module")
def root(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("root"), tiny_base)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[EncoderBatch]:
    """The batches that encoders are asked for, warming up left out."""
    from ml_core.serving.backends.torch import TorchBackend

    seen: list[EncoderBatch] = []
    pooled = TorchBackend.pooled

    def counted(self: Any, batch: EncoderBatch) -> np.ndarray:
        seen.append(batch)
        return pooled(self, batch)

    monkeypatch.setattr(TorchBackend, "pooled", counted)
    return seen


async def ask(engine: Engine, model: str, inputs: Sequence[Any], **options: Any) -> PredictResult:
    [result] = await engine.predict([PredictRequest(model, inputs)], **options)
    return result


def table(result: PredictResult) -> np.ndarray:
    return np.array([list(output["probabilities"].values()) for output in result.outputs])


async def test_every_classifier_says_what_its_predictor_says(root: Path) -> None:
    async with running(root) as engine:
        asked = [PredictRequest(name, TEXTS) for name in CLASSIFIERS]
        for name, result in zip(CLASSIFIERS, await engine.predict(asked), strict=True):
            predictor = Predictor.load(root / name, device="cpu")
            expected = predictor.probabilities(TEXTS)
            np.testing.assert_allclose(table(result), expected, atol=1e-4, err_msg=name)
            best = [predictor.labels[place] for place in expected.argmax(1)]
            assert [output["label"] for output in result.outputs] == best
            assert result.task == "text-classification"
            assert {output["in_scope"] for output in result.outputs} == {None}
        backbones = {each.models for each in engine.health().backbones}
        assert len(backbones) == 2, "one's own, and the base that heads and adapters share"


async def test_a_text_alone_and_in_company_gets_the_same(root: Path) -> None:
    async with running(root, cache_bytes=0) as engine:
        for name in ("one", "lora-0"):
            together = table(await ask(engine, name, TEXTS[:30]))
            alone = [table(await ask(engine, name, [text]))[0] for text in TEXTS[:30]]
            np.testing.assert_allclose(together, alone, atol=1e-4)


async def test_three_heads_on_one_encoder_take_one_pass(
    root: Path, passes: list[EncoderBatch]
) -> None:
    heads = ["head-0", "head-1", "head-2"]
    async with running(root) as engine:
        for head in heads:
            await engine.load(head)
        passes.clear()
        together = await engine.predict([PredictRequest(head, TEXTS[:8]) for head in heads])
        assert sum(len(batch.token_ids) for batch in passes) == 8
        # Callers who do not know of each other share as well.
        passes.clear()
        await asyncio.gather(*(ask(engine, head, TEXTS[8:16]) for head in heads))
        assert sum(len(batch.token_ids) for batch in passes) == 8
    async with running(root, cache_bytes=0) as engine:
        for head, result in zip(heads, together, strict=True):
            alone = table(await ask(engine, head, TEXTS[:8]))
            np.testing.assert_allclose(table(result), alone, atol=1e-5)


async def test_adapters_are_mixed_in_one_batch_and_say_what_each_says_alone(
    root: Path, passes: list[EncoderBatch]
) -> None:
    names = ["lora-0", "head-0", "lora-1", "lora-2"]
    async with running(root, cache_bytes=0) as engine:
        for name in names:
            await engine.load(name)
        alone = {name: table(await ask(engine, name, TEXTS[:6])) for name in names}
        passes.clear()
        mixed = await engine.predict([PredictRequest(name, TEXTS[:6]) for name in names])
        assert max(len(set(batch.adapters or ())) for batch in passes) == 4
        for name, result in zip(names, mixed, strict=True):
            np.testing.assert_allclose(table(result), alone[name], atol=1e-4, err_msg=name)
        # One that is gone leaves the others as they were.
        engine.unload("lora-1")
        for name in ("lora-0", "lora-2"):
            again = table(await ask(engine, name, TEXTS[:6]))
            np.testing.assert_allclose(again, alone[name], atol=1e-4)


async def test_vectors_entities_pairs_and_several_labels(root: Path) -> None:
    async with running(root) as engine:
        vectors = read_vectors((await ask(engine, "embedder", TEXTS[:9])).outputs)
        expected = EmbeddingPredictor.load(root / "embedder", device="cpu").embed(TEXTS[:9])
        np.testing.assert_allclose(vectors, expected, atol=1e-5)

        tagger = predictor_class("token-classification").load(root / "tagger", device="cpu")
        texts = [*TEXTS[:9], "bank " * 150, "上海 bank"]
        rows = tagger.predict_rows([{"text": text} for text in texts])
        outputs = (await ask(engine, "tagger", texts)).outputs
        assert any(output["entities"] for output in outputs)
        for output, row in zip(outputs, rows, strict=True):
            places = [(each["start"], each["end"], each["label"]) for each in output["entities"]]
            assert places == [(e["start"], e["end"], e["type"]) for e in row["entities"]]
            scores = [each["score"] for each in output["entities"]]
            assert scores == pytest.approx([e["score"] for e in row["entities"]], abs=1e-4)

        logits = RerankingPredictor.load(root / "reranker", device="cpu").scores(
            [(pair["query"], pair["document"]) for pair in PAIRS]
        )
        scores = [each["score"] for each in (await ask(engine, "reranker", PAIRS)).outputs]
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-4)

        several = predictor_class("multi-label-classification").load(root / "several", device="cpu")
        rows = several.predict_rows([{"text": text} for text in TEXTS[:5]])
        outputs = (await ask(engine, "several", TEXTS[:5])).outputs
        assert [output["labels"] for output in outputs] == [row["labels"] for row in rows]


async def test_a_base_embeds_as_it_is_and_shares_its_encoder_with_heads(root: Path) -> None:
    async with running(root) as engine:
        result = await ask(engine, "base:base", TEXTS[:4])
        expected = EmbeddingPredictor.from_base(root / "base", device="cpu").embed(TEXTS[:4])
        np.testing.assert_allclose(read_vectors(result.outputs), expected, atol=1e-5)
        assert result.task == "text-embedding"
        await ask(engine, "head-0", TEXTS[:1])
        [backbone] = engine.health().backbones
        assert len(backbone.models) == 2


async def test_rows_of_other_tasks(tiny_base: Path, tmp_path: Path) -> None:
    """One bad row fails its caller alone, in whatever batch it comes."""
    from matching_rows import sequence_rows, write_items, write_jsonl

    from ml_core.training import TrainConfig, train

    train(
        TrainConfig(
            task="next-item",
            train=write_jsonl(tmp_path / "train.jsonl", sequence_rows(20)),
            items=write_items(tmp_path / "items.jsonl"),
            base=str(tiny_base),
            max_length=32,
            epochs=1,
            sequence_width=32,
            sequence_layers=1,
            languages=("en",),
            device="cpu",
            out=tmp_path / "next",
        )
    )
    rows = [{"items": ["i3", "i4"]}, {"items": ["i5"]}]
    expected = predictor_class("next-item").load(tmp_path / "next", device="cpu").predict_rows(rows)
    async with running(tmp_path) as engine:
        await engine.load("next")
        good, bad = await asyncio.gather(
            ask(engine, "next", rows), ask(engine, "next", [{"items": []}]), return_exceptions=True
        )
        assert isinstance(good, PredictResult)
        for output, row in zip(good.outputs, expected, strict=True):
            for found, wanted in zip(output["next"], row["next"], strict=True):
                assert found["item"] == wanted["item"]
                assert found["score"] == pytest.approx(wanted["score"], abs=1e-4)
        assert isinstance(bad, InferenceError)
        assert bad.code == "bad_request"
        with pytest.raises(InferenceError, match="takes rows"):
            await ask(engine, "next", ["a text"])


async def test_an_image_comes_as_the_base64_of_its_file(tmp_path: Path) -> None:
    import base64
    import io

    from PIL import Image

    from ml_core.training import TrainConfig, train

    colours = {"blue": (40, 40, 220), "red": (220, 40, 40)}
    for label, colour in colours.items():
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(6):
            shade = tuple(max(0, value - number) for value in colour)
            Image.new("RGB", (16, 16), shade).save(tmp_path / f"images/{label}/{number}.png")
    train(
        TrainConfig(
            task="image-classification", train=tmp_path / "images", image_architecture="resnet9",
            resnet_width=4, weights="random", image_size=16, batch_size=4, epochs=1, device="cpu",
            out=tmp_path / "model",
        )
    )  # fmt: skip
    file = io.BytesIO()
    Image.new("RGB", (16, 16), colours["red"]).save(file, "PNG")
    (tmp_path / "red.png").write_bytes(file.getvalue())
    predictor = predictor_class("image-classification").load(tmp_path / "model", device="cpu")
    [expected] = predictor.predict_rows([{"image": str(tmp_path / "red.png")}])
    async with running(tmp_path) as engine:
        image = base64.b64encode(file.getvalue()).decode()
        [output] = (await ask(engine, "model", [{"image": image}])).outputs
        assert output["probabilities"] == expected["probabilities"]
        # A path is not read: it is no base64, or not of an image.
        for given in (str(tmp_path / "red.png"), "aGVsbG8="):
            with pytest.raises(InferenceError) as caught:
                await ask(engine, "model", [{"image": given}])
            assert caught.value.code == "bad_request"


async def test_out_of_scope_is_judged_as_the_predictor_does(root: Path, tmp_path: Path) -> None:
    from ml_core.evaluation.out_of_scope import OutOfScopeDetector

    shutil.copytree(root / "base", tmp_path / "base")
    plain = Predictor.load(root / "head-0", device="cpu")
    threshold = float(np.median(plain.probabilities(TEXTS).max(1)))
    detector = OutOfScopeDetector(score="max_probability", threshold=threshold)
    write_model(
        tmp_path / "scoped",
        tmp_path / "base",
        method="head",
        seed=10,
        calibration={"temperature": 1.0, "out_of_scope": detector.to_dict()},
    )
    judged = Predictor.load(tmp_path / "scoped", device="cpu").judge(TEXTS)
    async with running(tmp_path) as engine:
        outputs = (await ask(engine, "scoped", TEXTS)).outputs
    scores = [output["score"] for output in outputs]
    np.testing.assert_allclose(scores, judged.scores, atol=1e-5)
    clear = np.abs(judged.scores - threshold) > 1e-4
    said = np.array([output["in_scope"] for output in outputs])
    assert (said == (judged.scores >= threshold))[clear].all()
    assert 0 < said.sum() < len(said)


async def test_the_same_text_is_answered_from_the_cache_until_the_model_changes(
    root: Path, tmp_path: Path, passes: list[EncoderBatch]
) -> None:
    shutil.copytree(root / "one", tmp_path / "one")
    async with running(tmp_path) as engine:
        first = await ask(engine, "one", [*TEXTS[:3], TEXTS[0]])
        assert first.outputs[0] == first.outputs[3]
        passes.clear()
        assert await ask(engine, "one", TEXTS[:3]) == PredictResult(
            "one", first.digest, first.task, first.outputs[:3]
        )
        assert passes == []
        measured = await ask(engine, "one", TEXTS[:3], fresh=True)
        assert measured.outputs == first.outputs[:3]
        assert sum(len(batch.token_ids) for batch in passes) == 3
        digest = change_card(tmp_path / "one")
        assert (await engine.load("one")).digest == digest
        passes.clear()
        again = await ask(engine, "one", TEXTS[:3])
        assert again.digest == digest
        assert sum(len(batch.token_ids) for batch in passes) == 3
        shown = engine.metrics.render().decode()
        assert 'cache_total{result="hit"} 3.0' in shown
        assert 'cache_total{result="miss"} 10.0' in shown


async def test_hot_swaps_under_load_drop_nothing(root: Path, tmp_path: Path) -> None:
    for name in ("one", "head-0", "base"):
        shutil.copytree(root / name, tmp_path / name)
    async with running(tmp_path, cache_bytes=0) as engine:
        digests = {(await engine.load(name)).digest for name in ("one", "head-0")}
        stop = False
        seen: set[str] = set()

        async def call(name: str, seed: int) -> None:
            texts = TEXTS[seed : seed + 5]
            while not stop:
                result = await ask(engine, name, texts)
                assert len(result.outputs) == 5
                seen.add(result.digest)

        callers = [
            asyncio.create_task(call(name, seed)) for name in ("one", "head-0") for seed in range(4)
        ]
        for name in ("one", "head-0", "one", "head-0"):
            digests.add(change_card(tmp_path / name))
            await engine.load(name)
            await asyncio.sleep(0.05)
        stop = True
        await asyncio.gather(*callers)
        assert seen == digests
        assert len(engine.health().models) == 2
        assert len(engine.health().backbones) == 2, "the old ones are gone"


async def test_the_least_recently_used_model_goes_when_memory_is_used_up(root: Path) -> None:
    async with running(root) as engine:
        await engine.load("one")
        room = int(engine.health().memory_bytes * 2.7)
    async with running(root, memory_bytes=room) as engine:
        for name in ("one", "two", "one", "reranker"):
            await ask(engine, name, PAIRS[:1] if name == "reranker" else TEXTS[:1])
        assert {Path(each.model).name for each in engine.health().models} == {"one", "reranker"}
        assert engine.health().memory_bytes <= room
        # It comes back when it is asked for.
        assert (await ask(engine, "two", TEXTS[:1])).outputs
        assert 'model_bytes{model="' + str(root / "one") not in engine.metrics.render().decode()


async def test_a_model_larger_than_the_budget_is_refused_and_the_rest_stays(root: Path) -> None:
    size = (root / "head-0" / "model.safetensors").stat().st_size
    assert size < 10_000
    async with running(root, memory_bytes=10_000) as engine:
        with pytest.raises(ModelNotLoaded, match="takes about 0 MiB, and all models") as caught:
            await ask(engine, "one", TEXTS[:1])
        assert caught.value.code == "model_too_large"
        assert engine.health().status == "ok"


async def test_priorities_and_deadlines(root: Path, passes: list[EncoderBatch]) -> None:
    async with running(root, cache_bytes=0, max_queue=400) as engine:
        await engine.load("one")
        done: list[str] = []

        async def call(name: str, texts: list[str], priority: Any) -> None:
            await ask(engine, "one", texts, priority=priority)
            done.append(name)

        backfill = asyncio.create_task(call("batch", [f"{t} {t}" for t in TEXTS] * 3, "batch"))
        await asyncio.sleep(0)
        await asyncio.gather(*(call("chat", [text], "interactive") for text in TEXTS[:20]))
        await backfill
        assert done == ["chat"] * 20 + ["batch"]
        # Backfill leaves room for people.
        with pytest.raises(InferenceError, match="at most 300") as caught:
            await ask(engine, "one", TEXTS * 4, priority="batch")
        assert caught.value.code == "too_large"
        passes.clear()
        with pytest.raises(DeadlineExceeded):
            await ask(engine, "one", TEXTS * 4, timeout=0)
        await ask(engine, "one", ["bank"])
        assert len(passes) <= 2, "what nobody waits for any more is not computed"
        assert engine.health().queue_depth == 0


async def test_many_callers_of_the_same_texts(root: Path) -> None:
    """What is computed at the moment is not computed again, and nobody waits for ever."""
    import random

    async with running(root, cache_bytes=0) as engine:
        alone = {text: table(await ask(engine, "one", [text]))[0] for text in TEXTS[:10]}

        async def call(seed: int) -> None:
            generator = random.Random(seed)
            for _ in range(6):
                texts = generator.choices(TEXTS[:10], k=generator.randint(1, 4))
                found = table(await ask(engine, "one", texts, timeout=60))
                np.testing.assert_allclose(found, [alone[text] for text in texts], atol=1e-4)
                await asyncio.sleep(generator.random() / 1000)

        await asyncio.gather(*(call(seed) for seed in range(24)))
        assert engine.health().status == "ok"


async def test_a_full_queue_says_when_to_come_again(root: Path) -> None:
    async with running(root, max_queue=100) as engine:
        await engine.load("one")
        waiting = asyncio.create_task(ask(engine, "one", TEXTS))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await ask(engine, "one", TEXTS[:30])
        assert caught.value.retry_after >= 1
        with pytest.raises(Overloaded):
            await ask(engine, "one", TEXTS[:1], priority="batch")
        assert len((await waiting).outputs) == len(TEXTS)
        assert 'code="overloaded"' in engine.metrics.render().decode()


async def test_a_wait_that_is_too_long_is_refused_to_who_would_sit_through_it(root: Path) -> None:
    async with running(root, cache_bytes=0, max_wait=1e-9) as engine:
        await engine.load("one")
        assert await ask(engine, "one", TEXTS), "nothing is before it, however much it brings"
        waiting = asyncio.create_task(ask(engine, "one", TEXTS))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="what waits takes"):
            await ask(engine, "one", ["bank"])
        assert await ask(engine, "one", ["bank"], priority="batch")
        assert len((await waiting).outputs) == len(TEXTS)


async def test_gone_callers_are_forgotten(root: Path, passes: list[EncoderBatch]) -> None:
    async with running(root, cache_bytes=0) as engine:
        await engine.load("one")
        passes.clear()
        calls = [asyncio.create_task(ask(engine, "one", TEXTS)) for _ in range(5)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await ask(engine, "one", ["bank"])
        assert sum(len(batch.token_ids) for batch in passes) < len(TEXTS)
        assert engine.health().queue_depth == 0
        assert engine.health().models[0].waiting == 0


async def test_a_call_that_is_open_when_the_engine_closes_can_be_sent_again(root: Path) -> None:
    async with running(root) as engine:
        await engine.load("one")
        texts = [f"{a} {b}" for a in TEXTS[:20] for b in TEXTS[:20]]
        # So many that reading them is left to a thread, which is not there any more.
        call = asyncio.create_task(ask(engine, "one", texts))
        await engine.close()
        with pytest.raises(InferenceUnavailable):
            await asyncio.wait_for(ask(engine, "one", texts), 10)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


async def test_broken_models_are_named_and_nobody_else_suffers(root: Path, tmp_path: Path) -> None:
    import torch

    for name in ("base", "one", "head-0"):
        shutil.copytree(root / name, tmp_path / name)
    for name in ("changed", "tokenizer", "nan", "nan-head", "cut"):
        shutil.copytree(root / ("head-0" if name == "nan-head" else "one"), tmp_path / name)
    with (tmp_path / "changed" / "model.safetensors").open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"12345678")
    for name in ("nan", "nan-head"):
        weights = tmp_path / name / "model.safetensors"
        tensors = load_file(weights)
        tensors[sorted(tensors)[-1]].fill_(torch.nan)
        save_file(tensors, weights)
        rehash(tmp_path / name, "model.safetensors")
    tokenizer = json.loads((tmp_path / "tokenizer" / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words |= {f"word{number}": len(words) + number for number in range(500)}
    (tmp_path / "tokenizer" / "tokenizer.json").write_text(json.dumps(tokenizer))
    rehash(tmp_path / "tokenizer", "tokenizer.json")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    rehash(tmp_path / "cut", "model.safetensors")
    problems = {
        "changed": "SHA-256",
        "tokenizer": "tokenizer of another model",
        "nan": "not finite",
        "nan-head": "not finite",
        "cut": "model.safetensors",
    }
    async with running(tmp_path) as engine:
        await engine.load("head-0")
        for name, problem in problems.items():
            with pytest.raises(ModelNotLoaded, match=problem) as caught:
                await engine.predict(
                    [PredictRequest("head-0", TEXTS[:2]), PredictRequest(name, TEXTS[:2])]
                )
            assert caught.value.code == "model_damaged", name
        assert len((await ask(engine, "head-0", TEXTS[:2])).outputs) == 2
        assert {Path(each.model).name for each in engine.health().models} == {"head-0"}
        assert len(engine.health().backbones) == 1, "nothing of the broken ones stays"


async def test_states_that_are_no_numbers_fail_their_model_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml_core.serving.backends.torch import TorchBackend

    pooled = TorchBackend.pooled
    async with running(root) as engine:
        await engine.load("one")
        await engine.load("lora-0")
        await engine.load("head-0")

        def broken(self: Any, batch: EncoderBatch) -> np.ndarray:
            found = pooled(self, batch)
            for place, slot in enumerate(batch.adapters or ()):
                if slot:
                    found[place] = np.nan
            return found

        monkeypatch.setattr(TorchBackend, "pooled", broken)
        calls = (ask(engine, name, TEXTS[:4]) for name in ("one", "lora-0", "head-0"))
        one, lora, head = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(lora, ModelNotLoaded)
        assert lora.code == "model_failed"
        assert isinstance(one, PredictResult)
        assert isinstance(head, PredictResult)


async def test_a_batch_that_fails_is_tried_text_by_text(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml_core.serving.backends.torch import TorchBackend

    pooled = TorchBackend.pooled
    async with running(root, cache_bytes=0) as engine:
        await engine.load("one")

        def fails(self: Any, batch: EncoderBatch) -> np.ndarray:
            if any(len(ids) == 64 for ids in batch.token_ids):
                raise RuntimeError("too long for me")
            return pooled(self, batch)

        monkeypatch.setattr(TorchBackend, "pooled", fails)
        calls = (ask(engine, "one", [text]) for text in (*TEXTS[:5], "bank " * 100))
        *good, bad = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, PredictResult) for each in good)
        assert isinstance(bad, InferenceError)
        assert "too long for me" in str(bad)


async def test_a_text_of_a_hundred_thousand_tokens_is_cut(root: Path) -> None:
    async with running(root) as engine:
        long = "profit rises " * 100_000
        for model in ("one", "embedder"):
            assert len((await ask(engine, model, [long, "x" * 1_000_000])).outputs) == 2
        # A tagger reads all of a text, so there is a text that is too long.
        with pytest.raises(InferenceError, match="tags at most 32,768") as caught:
            await ask(engine, "tagger", [long])
        assert caught.value.code == "too_large"
        pair = {"query": "profit " * 100_000, "document": "rises " * 100_000}
        assert (await ask(engine, "reranker", [pair])).outputs


async def test_inputs_of_the_wrong_kind(root: Path) -> None:
    async with running(root) as engine:
        for model, given, problem in (
            ("reranker", "a text", "'query'"),
            ("reranker", {"query": "a"}, "'document'"),
            ("one", {"query": "a"}, "'text'"),
            ("tagger", {"text": 5}, "'text'"),
        ):
            with pytest.raises(InferenceError, match=problem) as caught:
                await ask(engine, model, [given])
            assert caught.value.code == "bad_request"
        assert (await ask(engine, "one", [{"text": "a row is a text too"}])).outputs
