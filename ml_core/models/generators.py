"""Models that write text: loading one, building one from nothing, and writing replies with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from ml_core.data.batches import padding_budget_batches
from ml_core.models.bases import BaseModelError, load_base, quiet_transformers
from ml_core.models.weights_io import load_weights, save_weights
from ml_core.registry.artifact import CONFIG, WEIGHTS, Artifact, ArtifactError

PAD, END = "<|pad|>", "<|end|>"
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
_TURNS = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# Tokens of one batch of replies being written, prompts included.
_WRITING_BUDGET = {"cpu": 4096, "cuda": 32768}


def load_generator(name: str | Path, *, random_weights: bool = False) -> tuple[Any, Any]:
    """A causal or sequence-to-sequence model (found out from its configuration) and its fast tokenizer, see
    `ml_core.models.bases.load_base`. Raises BaseModelError."""
    from transformers import AutoModelForMaskedLM

    def model_class(config: Any) -> Any:
        kind = _kind(config)
        # BERT and its kin have a causal class as well, but what was pretrained cannot write.
        only_reads = type(config) in AutoModelForMaskedLM._model_mapping and not getattr(
            config, "is_decoder", False
        )
        if type(config) not in kind._model_mapping or (
            only_reads and not config.is_encoder_decoder
        ):
            raise BaseModelError(
                f"{name}: a {config.model_type} model cannot write text; name a causal or sequence-to-sequence one, "
                'or build one with base "packaged" and weights "random"'
            )
        return kind

    model, tokenizer = load_base(name, model_class, random_weights=random_weights)
    if not getattr(tokenizer, "is_fast", False) or tokenizer.eos_token_id is None:
        raise BaseModelError(f"{name}: needs a tokenizer.json with a token that ends a text")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def train_tokenizer(texts: Iterable[str], *, vocabulary_size: int) -> Any:
    """A byte-level BPE tokenizer learned from ``texts``, with a token for the beginning of each role's turn and one
    for the end of a reply.

    Nothing is unknown to it. A Chinese character is never merged with its neighbours (there is no telling where a
    word ends) and digits stand alone, so that names and numbers are copied piece by piece.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{Han}|\p{N}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[PAD, END, *_ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END
    )
    fast.chat_template = _TURNS
    return fast


def build_generator(
    architecture: str,
    tokenizer: Any,
    *,
    layers: int,
    hidden_size: int,
    heads: int,
    dropout: float,
    longest: int,
) -> Any:
    """A model with random weights: a GPT-NeoX decoder (rotary positions) or a T5 1.1 encoder-decoder (relative
    positions), both with tied embeddings. ``longest`` tokens are what it is trained on."""
    from transformers import (
        GPTNeoXConfig,
        GPTNeoXForCausalLM,
        T5Config,
        T5ForConditionalGeneration,
    )

    quiet_transformers()
    ends: dict[str, Any] = {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if architecture == "decoder":
        return GPTNeoXForCausalLM(
            GPTNeoXConfig(
                vocab_size=len(tokenizer),
                hidden_size=hidden_size,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                intermediate_size=4 * hidden_size,
                hidden_dropout=dropout,
                attention_dropout=dropout,
                max_position_embeddings=longest,
                tie_word_embeddings=True,
                bos_token_id=None,
                **ends,
            )
        )
    start = {"decoder_start_token_id": tokenizer.pad_token_id}
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=hidden_size,
            d_kv=hidden_size // heads,
            d_ff=max(8, hidden_size * 8 // 3 // 8 * 8),
            num_layers=layers,
            num_heads=heads,
            dropout_rate=dropout,
            feed_forward_proj="gated-gelu",
            **ends,
            **start,
        )
    )


def write_replies(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    *,
    seed: int,
    after_batch: Callable[[], None] = lambda: None,
) -> list[str]:
    """What ``model`` (in evaluation mode) replies to each encoded prompt, by its generation configuration; drawn
    replies are the same for the same ``seed``, and torch's generators are left as they were."""
    device = model.device
    replies = [""] * len(prompts)
    longest = model.generation_config.max_new_tokens
    encoder_decoder = model.config.is_encoder_decoder
    pad = tokenizer.pad_token_id
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed)
        for batch in padding_budget_batches(
            [len(prompt) + longest for prompt in prompts],
            budget=_WRITING_BUDGET.get(device.type, _WRITING_BUDGET["cpu"]),
        ):
            after_batch()
            width = max(len(prompts[place]) for place in batch)
            fills = [width - len(prompts[place]) for place in batch]
            # A decoder goes on from the right end, so it is filled on the left.
            ids = torch.tensor(
                [
                    [*prompts[place], *[pad] * fill]
                    if encoder_decoder
                    else [*[pad] * fill, *prompts[place]]
                    for place, fill in zip(batch, fills, strict=True)
                ],
                device=device,
            )
            ones = torch.arange(width, device=device).expand(len(batch), -1)
            fill = torch.tensor(fills, device=device).unsqueeze(1)
            mask = (ones < width - fill) if encoder_decoder else (ones >= fill)
            written = model.generate(input_ids=ids, attention_mask=mask.long())
            if not encoder_decoder:
                written = written[:, width:]
            texts = tokenizer.batch_decode(written, skip_special_tokens=True)
            for place, text in zip(batch, texts, strict=True):
                replies[place] = text.strip()
    return replies


def save_generator(model: Any, tokenizer: Any, directory: Path) -> None:
    """Write weights, configuration, how it writes, and tokenizer; transformers reads them too. Of a model that a
    parameter-efficient method trained only what was trained is written, see `ml_core.models.weights_io`."""
    save_weights(model, directory / WEIGHTS)
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    # Where the base was found is a path of the machine that trained it.
    config.pop("_name_or_path", None)
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (directory / CONFIG).write_text(text, encoding="utf-8")
    model.generation_config.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def open_generator(artifact: Artifact) -> tuple[Any, Any]:
    """The model (evaluation mode) and tokenizer of an artefact.

    Raises ArtifactError naming the file: weights that do not fit the configuration, are not finite, or whose base is
    not to be had.
    """
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    quiet_transformers()
    path = artifact.path
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        model = _kind(config).from_config(config, trust_remote_code=False)
        model.generation_config = GenerationConfig.from_pretrained(path)
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(path / CONFIG, f"cannot be used: {error}") from error
    load_weights(model, artifact)
    return model.eval(), tokenizer


def _kind(config: Any) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
