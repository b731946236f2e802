"""Parameter-efficient methods on every architecture: what is trained, what stays, and what comes out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
    T5Config,
    ViTConfig,
    XLMRobertaConfig,
)

from ml_core.models.efficient.adalora import Allocator
from ml_core.models.efficient.adalora import attach as attach_adalora
from ml_core.models.efficient.attachment import METHODS, CannotAttach, attach, merge
from ml_core.models.resnet import ResNet, ResNetConfig

SMALL: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
SPECIAL = {
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2,
}  # fmt: skip
LORA = {"rank": 4, "alpha": 8.0, "dropout": 0.0, "rank_stabilised": False, "targets": None}
RECORDS: dict[str, dict[str, Any]] = {
    "lora": LORA,
    "adalora": LORA,
    "prefix": {"length": 5},
    "prompt": {"length": 5},
    "adapter": {"size": 4, "places": "both"},
    "head": {},
}
MODELS: dict[str, Callable[[], Any]] = {
    "bert": lambda: AutoModel.from_config(BertConfig(**SMALL)),
    "roberta": lambda: AutoModel.from_config(RobertaConfig(**SMALL)),
    "xlm-roberta": lambda: AutoModel.from_config(XLMRobertaConfig(**SMALL)),
    "distilbert": lambda: AutoModel.from_config(
        DistilBertConfig(vocab_size=100, dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    ),
    "modernbert": lambda: AutoModel.from_config(ModernBertConfig(**SMALL, **SPECIAL)),
    "deberta": lambda: AutoModel.from_config(DebertaV2Config(**SMALL)),
    "mpnet": lambda: AutoModel.from_config(MPNetConfig(**SMALL)),
    "gpt2": lambda: AutoModelForCausalLM.from_config(
        GPT2Config(
            vocab_size=100,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=64,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    ),
    "llama": lambda: AutoModelForCausalLM.from_config(
        LlamaConfig(**SMALL, num_key_value_heads=2, pad_token_id=0)
    ),
    "t5": lambda: AutoModelForSeq2SeqLM.from_config(
        T5Config(
            vocab_size=100,
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            decoder_start_token_id=0,
        )
    ),
    "vit": lambda: AutoModel.from_config(
        ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=32,
            patch_size=8,
        )
    ),
}
# Where a method has no place; its message names those that have.
NOWHERE = {("prefix", "deberta"), ("prefix", "mpnet"), ("prompt", "vit")}
WRITERS = ("gpt2", "llama", "t5")


class Wrapped(nn.Module):
    """A model with a head, as the tasks have them."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(32, 3)


def built(name: str) -> Any:
    torch.manual_seed(0)
    encoder = MODELS[name]()
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return Wrapped(encoder).eval()


def example(name: str) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    if name == "vit":
        return {"pixel_values": torch.randn(2, 3, 32, 32, generator=generator)}
    ids = torch.randint(3, 100, (2, 10), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    given = {"input_ids": ids, "attention_mask": mask}
    return given | {"labels": ids} if name in WRITERS else given


def states(model: Any, given: dict[str, Any]) -> Any:
    output = model.encoder(**given)
    return output.logits if hasattr(output, "logits") else output.last_hidden_state


def attached(name: str, method: str) -> Any:
    model = built(name)
    attach(model, model.encoder, {"method": method, **RECORDS[method]})
    return model


CASES = [(method, name) for method in METHODS for name in MODELS if (method, name) not in NOWHERE]


@pytest.mark.parametrize(("method", "name"), CASES)
def test_only_what_the_method_adds_changes(method: str, name: str) -> None:
    model = attached(name, method)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=0.01, weight_decay=0)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    for _ in range(2):  # LoRA's A moves only once B is no longer zero
        optimiser.zero_grad()
        out = states(model, example(name))
        if out.requires_grad:
            torch.nn.functional.mse_loss(out, torch.randn(out.shape)).backward()
        model.head(torch.ones(1, 32)).sum().backward()
        reached = {
            key: p.grad is not None and bool(p.grad.abs().sum() > 0)
            for key, p in model.named_parameters()
            if p.requires_grad
        }
        optimiser.step()
    assert all(reached.values()), [key for key, found in reached.items() if not found]
    changed = {key for key, t in model.state_dict().items() if not torch.equal(t, before[key])}
    assert changed == set(reached)
    marks = {"lora": "lora_", "adalora": "lora_"}.get(method, f".{method}.")
    assert all(marks in key or key.startswith("head.") for key in changed)
    assert method == "head" or any(marks in key for key in changed)


@pytest.mark.parametrize(("method", "name"), sorted(NOWHERE))
def test_no_place_is_said_with_what_works(method: str, name: str) -> None:
    with pytest.raises(CannotAttach, match=rf"method: {method} .*lora, adalora.*adapter"):
        attached(name, method)


@pytest.mark.parametrize("method", ["lora", "adalora", "prefix", "prompt", "adapter"])
def test_a_convolutional_network_has_places_for_none(method: str) -> None:
    model = Wrapped(ResNet(ResNetConfig("resnet9", 4)))
    with pytest.raises(CannotAttach):
        attach(model, model.encoder, {"method": method, **RECORDS[method]})


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", ["lora", "adalora", "adapter", "head"])
def test_training_begins_at_the_base(method: str, name: str) -> None:
    before = states(built(name), example(name))
    assert torch.allclose(states(attached(name, method), example(name)), before, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["bert", "roberta", "distilbert", "modernbert", "deberta", "mpnet", "gpt2", "llama"]
)
@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_as_many_states_as_tokens_whatever_the_padding(method: str, name: str) -> None:
    """The second text is padded in its batch; alone it is not."""
    if (method, name) in NOWHERE:
        pytest.skip("the method has no place there")
    model = attached(name, method)
    given = example(name)
    together = states(model, given)
    assert together.shape[:2] == given["input_ids"].shape
    alone = {key: value[1:, :6] for key, value in given.items()}
    assert torch.allclose(together[1:, :6], states(model, alone), atol=1e-5)
    assert not torch.allclose(together, states(built(name), given), atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_a_decoder_still_sees_no_later_token(method: str, name: str) -> None:
    model = attached(name, method)
    ids = torch.randint(3, 100, (1, 8))
    other = ids.clone()
    other[0, 5:] = 7
    first, second = (model.encoder(input_ids=each).logits for each in (ids, other))
    assert torch.allclose(first[:, :5], second[:, :5], atol=1e-5)
    assert not torch.allclose(first[:, 5:], second[:, 5:], atol=1e-5)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("method", ["lora", "prefix", "prompt", "adapter"])
def test_writing_with_a_cache_is_writing_without(method: str, name: str) -> None:
    model = attached(name, method)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    ids = torch.randint(3, 100, (2, 6))
    mask = torch.ones_like(ids)
    mask[1, :2] = 0  # padded on the left, as for writing
    given = {"input_ids": ids, "attention_mask": mask, "max_new_tokens": 6, "do_sample": False}
    with_cache, without = (model.encoder.generate(**given, use_cache=use) for use in (True, False))
    assert torch.equal(with_cache, without)


@pytest.mark.parametrize("name", ["bert", "modernbert", "gpt2", "t5", "vit"])
@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_merged_equals_unmerged(method: str, name: str) -> None:
    model = attached(name, method)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.2)
    apart = states(model, example(name))
    assert merge(model)
    assert torch.allclose(states(model, example(name)), apart, atol=1e-4)
    assert model.state_dict().keys() == built(name).state_dict().keys()


@pytest.mark.parametrize("method", ["prefix", "prompt", "adapter", "head"])
def test_what_is_in_no_matrix_cannot_be_merged(method: str) -> None:
    assert not merge(attached("bert", method))


def test_target_modules_are_named_by_their_ends() -> None:
    model = built("bert")
    attach(model, model.encoder, {"method": "lora", **LORA, "targets": ["query", "value"]})
    trained = {name for name, p in model.encoder.named_parameters() if p.requires_grad}
    assert trained
    assert all(".query." in name or ".value." in name for name in trained)
    model = built("bert")
    with pytest.raises(CannotAttach, match=r"q_proj.*there are dense, key, query, value"):
        attach(model, model.encoder, {"method": "lora", **LORA, "targets": ["q_proj"]})


def test_adapters_after_feed_forward_alone_are_half_as_many() -> None:
    counts = []
    for places in ("both", "feed-forward"):
        model = built("bert")
        attach(model, model.encoder, {"method": "adapter", "size": 4, "places": places})
        counts.append(sum(p.numel() for p in model.encoder.parameters() if p.requires_grad))
    assert counts[0] == 2 * counts[1]


def adalora_run(
    steps: int, stop: int | None = None, *, resume: bool = False, after_another: bool = False
) -> Any:
    """A short training of AdaLoRA; with ``stop`` its state goes through a checkpoint after that step, with
    ``after_another`` it is the second one from the same start."""
    model = built("bert")
    for parameter in model.encoder.parameters():
        parameter.requires_grad_(False)
    allocator = Allocator(attach_adalora(model.encoder, LORA, total_steps=steps), model.encoder)
    trained = [p for p in model.encoder.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=0.05)
    if after_another:
        start = [p.detach().clone() for p in trained]
        train_adalora(model, allocator, optimiser, steps)
        allocator.reset()
        with torch.no_grad():
            torch._foreach_copy_(trained, start)
    train_adalora(model, allocator, optimiser, steps, stop if resume else None)
    return model


def train_adalora(
    model: Any, allocator: Allocator, optimiser: Any, steps: int, stop: int | None = None
) -> None:
    for step in range(1, steps + 1):
        loss = (states(model, example("bert")) - 1).pow(2).mean() + allocator.regulariser()
        loss.backward()
        allocator.keep_gradients()
        optimiser.step()
        optimiser.zero_grad()
        allocator.after_step(step, steps)
        if step == stop:
            kept = copy.deepcopy(allocator.state_dict())
            tuner = allocator._tuner
            tuner.rankallocator.reset_ipt()
            tuner.peft_config["default"].rank_pattern = None
            allocator.load_state_dict(kept)


def test_adalora_ends_with_the_ranks_it_was_given_on_average() -> None:
    model = adalora_run(40)
    values = [p for name, p in model.named_parameters() if "lora_E" in name]
    assert all(len(each) == 6 for each in values)
    left = sum(int((each != 0).sum()) for each in values)
    assert left == 4 * len(values)
    assert len({int((each != 0).sum()) for each in values}) > 1


def test_adalora_decides_anew_in_each_training_of_an_ensemble() -> None:
    alone, second = adalora_run(20), adalora_run(20, after_another=True)
    for (name, first), other in zip(alone.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(first, other), name


def test_adalora_goes_on_from_a_checkpoint_as_if_nothing_had_been() -> None:
    whole, resumed = adalora_run(20, stop=7), adalora_run(20, stop=7, resume=True)
    for (name, first), second in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(first, second), name
