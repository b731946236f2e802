"""Writing text piece by piece: the same replies as transformers' own loop, alone or beside others, whole characters
only."""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import random
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from prometheus_client import CollectorRegistry, generate_latest

from ml_core.models.generators import build_generator, train_tokenizer
from ml_core.registry import Artifact
from ml_core.serving import (
    AsyncGenerationClient,
    DeadlineExceeded,
    GenerationClient,
    InferenceError,
    InferenceUnavailable,
    ModelNotLoaded,
    Overloaded,
)
from ml_core.serving.generation import Generations
from ml_core.serving.generation_batches import GenerationRunner, Reply
from ml_core.serving.generation_protocol import (
    GenerateRequest,
    GenerationOptions,
    Piece,
    generate_request,
    parse_generate,
)
from ml_core.serving.generation_text import StopTexts, TextStream
from ml_core.training import TrainConfig, train

TEXTS = [
    "we open at nine and close at five",
    "the price of a ticket is ten euros",
    "今天股票市场大幅上涨，投资者非常高兴。",
    "请问你们几点开门？",
]
KINDS = ("decoder", "encoder-decoder")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(TEXTS, vocabulary_size=300)


@pytest.fixture(scope="module")
def models(tokenizer: Any) -> dict[str, Any]:
    made = {}
    for kind in KINDS:
        torch.manual_seed(3)
        model = build_generator(
            kind, tokenizer, layers=2, hidden_size=32, heads=2, dropout=0.0, longest=512
        ).eval()
        with torch.no_grad():
            for weights in model.parameters():
                if weights.dim() > 1:
                    weights.mul_(
                        4
                    )  # random weights of the usual size write the same token for ever
        model.generation_config.update(
            max_new_tokens=24, max_length=None, eos_token_id=tokenizer.eos_token_id
        )
        made[kind] = model
    return made


def prompts(count: int, *, seed: int = 0) -> list[list[int]]:
    generator = random.Random(seed)
    return [
        [generator.randrange(5, 290) for _ in range(generator.randint(3, 40))] for _ in range(count)
    ]


def tokens_of(runner: GenerationRunner, replies: Sequence[Reply]) -> list[list[int]]:
    for reply in replies:
        runner.add(reply)
    while runner.busy:
        runner.step()
    return [reply.tokens for reply in replies]


def runner_for(
    models: dict[str, Any], tokenizer: Any, kind: str, **options: Any
) -> GenerationRunner:
    return GenerationRunner(models[kind], tokenizer, **options)


def by_transformers(model: Any, prompt: list[int], **options: Any) -> list[int]:
    ids = torch.tensor([prompt])
    with torch.no_grad():
        written = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, **options
        )
    return written[0].tolist()[1 if model.config.is_encoder_decoder else len(prompt) :]


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_writes_what_transformers_writes(models, tokenizer, kind) -> None:
    asked = prompts(6)
    runner = runner_for(models, tokenizer, kind)
    for options, said in (
        ({}, GenerationOptions(temperature=0)),
        ({"repetition_penalty": 1.3}, GenerationOptions(temperature=0, repetition_penalty=1.3)),
    ):
        replies = [runner.reply(prompt, said, seed=0) for prompt in asked]
        expected = [by_transformers(models[kind], prompt, **options) for prompt in asked]
        assert tokens_of(runner, replies) == expected
    assert len({tuple(tokens) for tokens in expected}) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_cached_is_uncached(models, tokenizer, kind) -> None:
    model = models[kind]
    runner = runner_for(models, tokenizer, kind)
    (prompt,) = prompts(1, seed=4)
    (tokens,) = tokens_of(runner, [runner.reply(prompt, GenerationOptions(temperature=0), seed=0)])
    written: list[int] = []
    with torch.no_grad():
        for _ in tokens:
            if model.config.is_encoder_decoder:
                start = model.config.decoder_start_token_id
                logits = model(
                    input_ids=torch.tensor([prompt]),
                    decoder_input_ids=torch.tensor([[start, *written]]),
                    use_cache=False,
                ).logits
            else:
                logits = model(torch.tensor([[*prompt, *written]]), use_cache=False).logits
            written.append(int(logits[0, -1].argmax()))
    assert written == tokens


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_reply_is_the_same_alone_and_beside_others_that_come_and_go(
    models, tokenizer, kind, temperature
) -> None:
    asked = prompts(9, seed=2)
    options = [
        GenerationOptions(temperature=temperature, seed=place, max_new_tokens=5 + 3 * place)
        for place in range(9)
    ]
    alone = runner_for(models, tokenizer, kind)
    expected = [
        tokens_of(alone, [alone.reply(prompt, each, seed=0)])[0]
        for prompt, each in zip(asked, options, strict=True)
    ]
    together = runner_for(models, tokenizer, kind, max_replies=4)
    replies = [
        together.reply(prompt, each, seed=0) for prompt, each in zip(asked, options, strict=True)
    ]
    for reply in replies[:3]:
        together.add(reply)
    for _ in range(4):
        together.step()
    assert tokens_of(together, replies[3:]) == expected[3:]
    assert [reply.tokens for reply in replies[:3]] == expected[:3]
    assert together.cache_bytes == 0


@pytest.mark.parametrize("kind", KINDS)
def test_models_that_cannot_share_a_batch_write_side_by_side(models, tokenizer, kind) -> None:
    runner = runner_for(models, tokenizer, kind)
    runner._batchable = False
    asked = prompts(3, seed=7)
    replies = [runner.reply(prompt, GenerationOptions(temperature=0), seed=0) for prompt in asked]
    assert tokens_of(runner, replies) == [by_transformers(models[kind], prompt) for prompt in asked]


def test_a_long_prompt_is_read_in_portions_while_others_write(models, tokenizer) -> None:
    runner = runner_for(models, tokenizer, "decoder")
    runner._portion = 16
    short, long = prompts(1)[0], [7 + place % 200 for place in range(100)]
    greedy = GenerationOptions(temperature=0)
    first, second = runner.reply(short[:8], greedy, seed=0), runner.reply(long, greedy, seed=0)
    runner.add(first)
    runner.step()
    runner.add(second)
    for _ in range(5):
        before = len(first.tokens)
        runner.step()
        assert len(first.tokens) == before + 1
        assert not second.tokens
    while runner.busy:
        runner.step()
    assert second.tokens == by_transformers(models["decoder"], long)
    assert first.tokens == by_transformers(models["decoder"], short[:8])


def test_nobody_writes_for_who_has_gone(models, tokenizer) -> None:
    runner = runner_for(models, tokenizer, "decoder")
    options = GenerationOptions(temperature=0, max_new_tokens=200)
    replies = [runner.reply(prompt, options, seed=0) for prompt in prompts(3)]
    for reply in replies:
        runner.add(reply)
    for _ in range(5):
        runner.step()
    for reply in replies:
        reply.wanted = False
    written = [len(reply.tokens) for reply in replies]
    runner.step()
    assert not runner.busy
    assert [len(reply.tokens) for reply in replies] == written


def test_seeds_and_the_end_of_the_positions(models, tokenizer) -> None:
    runner = runner_for(models, tokenizer, "decoder")
    (prompt,) = prompts(1)

    def drawn(seed: int) -> list[int]:
        options = GenerationOptions(temperature=1.0, top_p=0.95, top_k=50, seed=seed)
        return tokens_of(runner, [runner.reply(prompt, options, seed=0)])[0]

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(4)}) > 1
    options = GenerationOptions(temperature=0, max_new_tokens=1000)
    reply = runner.reply([9] * 500, options, seed=0)
    assert len(tokens_of(runner, [reply])[0]) <= 12
    with pytest.raises(ValueError, match="512 positions"):
        runner.reply([9] * 512, options, seed=0)


def test_logits_that_are_no_numbers_are_an_error(models, tokenizer) -> None:
    runner = runner_for(models, tokenizer, "decoder")
    runner.add(runner.reply([9, 9], GenerationOptions(), seed=0))
    head = models["decoder"].get_output_embeddings().weight
    kept = head.detach().clone()
    try:
        with torch.no_grad():
            head[3] = float("nan")
        with pytest.raises(FloatingPointError, match="not numbers"):
            runner.step()
    finally:
        with torch.no_grad():
            head.copy_(kept)


@pytest.mark.parametrize("text", [*TEXTS, "emoji 👩‍👩‍👧 and 龘靐齉 rare ones", "a\n b \n\n c"])
def test_pieces_hold_whole_characters_and_join_to_the_text(tokenizer, text) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert any("\ufffd" in tokenizer.decode([token]) for token in ids) or text.isascii()
    stream = TextStream(tokenizer)
    pieces = [stream.add(token) for token in [*ids, tokenizer.eos_token_id]]
    assert "".join(pieces) == text.strip()
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_that_never_becomes_whole_is_left_out(tokenizer) -> None:
    ids = tokenizer("涨龘", add_special_tokens=False)["input_ids"]
    stream = TextStream(tokenizer)
    assert "".join(stream.add(token) for token in ids[:-1]) + stream.rest() == "涨"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_stop_texts_are_found_across_pieces(size) -> None:
    text = "The answer is ten. Us and Userland\nUser: next"
    stops = StopTexts(["\nUser:", "###"])
    shown = ""
    for start in range(0, len(text), size):
        shown += stops.add(text[start : start + size])
    assert stops.found
    assert shown == "The answer is ten. Us and Userland"
    kept = StopTexts(["涨停"])
    assert kept.add("股票涨") == "股票"
    assert kept.add("了") == "涨了"
    assert (kept.add("涨"), kept.rest(), kept.found) == ("", "涨", False)


def test_a_bad_body_is_told_where() -> None:
    good = parse_generate({"model": "m", "prompt": "hi", "stop": "x", "temperature": 0, "seed": 3})
    assert good == generate_request(
        "m", "hi", GenerationOptions(stop=("x",), temperature=0.0, seed=3)
    )
    assert parse_generate(good.to_dict()) == good
    for body, said in (
        ({"model": "m"}, "either a prompt or messages"),
        ({"prompt": "x"}, "needs a model"),
        ({"model": "m", "messages": []}, "at least one turn"),
        ({"model": "m", "messages": [{"role": "robot", "content": "x"}]}, r"messages\[0\].role"),
        ({"model": "m", "messages": [{"role": "system", "content": "x"}]}, "nobody said"),
        ({"model": "m", "prompt": " "}, "prompt needs text"),
        ({"model": "m", "prompt": "\ud800"}, "lone surrogate"),
        ({"model": "m", "prompt": "x", "temperature": float("nan")}, "temperature"),
        ({"model": "m", "prompt": "x", "top_p": 0}, "top_p must be a number above 0"),
        ({"model": "m", "prompt": "x", "max_new_tokens": True}, "max_new_tokens"),
        ({"model": "m", "prompt": "x", "stop": [""]}, r"stop\[0\]"),
        ({"model": "m", "prompt": "x", "beams": 4}, "unknown: 'beams'"),
    ):
        with pytest.raises(InferenceError, match=said) as caught:
            parse_generate(body)
        assert caught.value.code == "bad_request"


# --- many callers of one process ------------------------------------------------------------------


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("writer")
    rows = [
        {"prompt": f"{word} please", "response": answer}
        for word, answer in (("price", "it costs ten"), ("时间", "我们九点开门")) * 40
    ]
    (folder / "rows.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8"
    )
    return train(
        TrainConfig(
            task="text-generation", weights="random", train=folder / "rows.jsonl", out=folder / "out",
            layers=1, hidden_size=32, heads=2, vocabulary_size=300, max_length=96, max_new_tokens=16,
            epochs=10, batch_size=8, dropout=0.0, learning_rate=1e-2, judged_replies=2, device="cpu",
        )
    )  # fmt: skip


@pytest.fixture
async def served(artifact: Artifact) -> AsyncIterator[Generations]:
    def find(name: str) -> Path:
        return artifact.path.parent / name

    with ThreadPoolExecutor(1) as compute:
        generations = Generations(
            find=find, compute=compute, registry=CollectorRegistry(), device="cpu", max_open=8
        )
        generations.start()
        yield generations
        await generations.close()


def ask(text: str, **options: Any) -> GenerateRequest:
    return generate_request("out", text, GenerationOptions(**options))


async def whole(generations: Generations, request: GenerateRequest) -> tuple[str, Piece]:
    pieces = [piece async for piece in generations.generate(request, timeout=30)]
    return "".join(piece.text for piece in pieces), pieces[-1]


async def test_callers_get_what_the_predictor_writes(served, artifact) -> None:
    from ml_core.tasks.text_generation import TextGenerationPredictor

    predictor = TextGenerationPredictor.load(artifact, device="cpu")
    asked = ["price please", "时间 please", "price", "please please"]
    expected = [row["response"] for row in predictor.predict_rows([{"prompt": t} for t in asked])]
    answers = await asyncio.gather(*(whole(served, ask(text)) for text in asked))
    assert [text for text, _ in answers] == expected
    assert answers[0][1].finish_reason == "stop"
    assert answers[0][1].prompt_tokens > 0
    stop = expected[0][2:5]
    stopped, last = await whole(served, ask("price please", stop=(stop, "###")))
    assert (stopped, last.finish_reason) == (expected[0][: expected[0].find(stop)].rstrip(), "stop")
    short, last = await whole(served, ask("时间 please", max_new_tokens=2))
    assert expected[1].startswith(short)
    assert (last.finish_reason, last.completion_tokens) == ("length", 2)


async def test_overload_deadline_and_models_that_are_not_there(served) -> None:
    readers = [served.generate(ask("price please", max_new_tokens=4000)) for _ in range(8)]
    for reader in readers:
        await anext(reader)
    with pytest.raises(Overloaded, match="at most 8"):
        await anext(served.generate(ask("price please")))
    for reader in readers:
        await reader.aclose()
    with pytest.raises(DeadlineExceeded):
        async for _ in served.generate(ask("price", max_new_tokens=8000, stop=("\0",)), timeout=0):
            pass
    with pytest.raises(ModelNotLoaded, match="no such model"):
        await whole(served, generate_request("nowhere", "x", GenerationOptions()))
    assert (await whole(served, ask("price please")))[1].done
    counted = generate_latest(served.metrics.registry).decode()
    assert 'end="cancelled",model="out"} 8.0' in counted
    assert 'generation_tokens_total{kind="written",model="out"}' in counted


async def test_a_model_that_fails_fails_its_own_callers_only(served, monkeypatch) -> None:
    await whole(served, ask("price please"))
    (model,) = served._models.values()

    def broken() -> None:
        raise FloatingPointError("the model's logits are not numbers")

    with monkeypatch.context() as patch:
        patch.setattr(model.runner, "step", broken)
        with pytest.raises(InferenceError, match="not numbers"):
            await whole(served, ask("price please"))
    assert (await whole(served, ask("price please")))[1].done


async def test_a_generator_larger_than_its_memory_is_refused(artifact) -> None:
    with ThreadPoolExecutor(1) as compute:
        generations = Generations(
            find=lambda name: artifact.path.parent / name,
            compute=compute,
            registry=CollectorRegistry(),
            memory_bytes=1000,
        )
        with pytest.raises(ModelNotLoaded, match="may take") as refused:
            await whole(generations, ask("price please"))
        assert refused.value.code == "model_too_large"


async def test_people_go_first_but_replies_go_on(served, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(served, "_people_wait", lambda: bool(asked.append(1)) or len(asked) < 300)
    assert (await whole(served, ask("price please", max_new_tokens=3)))[1].done
    assert len(asked) > 10


async def test_a_changed_generator_is_swapped_while_the_old_one_ends_its_reply(
    artifact, tmp_path
) -> None:
    for name in ("out", "next"):
        shutil.copytree(artifact.path, tmp_path / name)
    changed = tmp_path / "next" / "generation_config.json"
    changed.write_text(changed.read_text() + "\n")
    manifest = json.loads((tmp_path / "next" / "manifest.json").read_text())
    manifest["files"][changed.name] = hashlib.sha256(changed.read_bytes()).hexdigest()
    (tmp_path / "next" / "manifest.json").write_text(json.dumps(manifest))
    with ThreadPoolExecutor(1) as compute:
        generations = Generations(
            find=tmp_path.joinpath, compute=compute, registry=CollectorRegistry(), device="cpu"
        )
        generations.start()
        old = generations.generate(ask("price please", max_new_tokens=12))
        pieces = [await anext(old)]
        (before,) = generations._all()
        (tmp_path / "out").rename(tmp_path / "gone")
        (tmp_path / "next").rename(tmp_path / "out")
        assert (await whole(generations, ask("price please")))[1].done
        pieces += [piece async for piece in old]
        assert pieces[-1].done
        assert (await whole(generations, ask("price please")))[1].done
        (after,) = generations._all()
        assert after.digest != before.digest
        await generations.close()


# --- over the socket ------------------------------------------------------------------------------


async def test_clients_stream_and_hang_up_over_the_socket(artifact, tmp_path) -> None:
    from ml_core.serving.server import serve

    address = f"unix://{tmp_path}/i.sock"
    process = multiprocessing.get_context("spawn").Process(
        target=serve,
        args=(address,),
        kwargs={"allowed_root": artifact.path.parent, "token": "t", "threads": 1, "device": "cpu"},
    )
    process.start()
    try:
        async with AsyncGenerationClient(address, token="t", timeout=60) as client:
            await until((tmp_path / "i.sock").exists)
            turns = [{"role": "user", "content": "时间 please"}]
            pieces = [piece async for piece in client.generate("out", turns)]
            assert pieces[-1].done
            assert len(pieces) > 1
            for model, options, code in (
                ("nowhere", GenerationOptions(), "model_not_found"),
                ("../out/..", GenerationOptions(), "model_not_allowed"),
                ("out", GenerationOptions(top_p=7.0), "bad_request"),
            ):
                with pytest.raises(InferenceError) as refused:
                    await anext(client.generate(model, "price please", options))
                assert refused.value.code == code
            endless = client.generate("out", "price", GenerationOptions(temperature=5.0, seed=1))
            assert (await anext(endless)) is not None
            await endless.aclose()
        with GenerationClient(address, token="t", timeout=60) as client:
            text = "".join(piece.text for piece in client.generate("out", turns))
            assert text == "".join(piece.text for piece in pieces)
        with (
            GenerationClient(address, token="wrong") as client,
            pytest.raises(InferenceError, match="token"),
        ):
            next(client.generate("out", "x"))
    finally:
        process.terminate()
        process.join(20)
    with GenerationClient(address, token="t") as client, pytest.raises(InferenceUnavailable):
        next(client.generate("out", "x"))


async def until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came true")
