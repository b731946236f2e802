"""Keep only the tokens that matter of a vocabulary: of a small encoder half the weights are rows for tokens.

Kept are the tokens that the organisation's rows use, and then the most frequent others (vocabularies are written in the
order of frequency) up to the size asked for. Whatever the rows are, every text is still read: each character that the
vocabulary knew, at the beginning of a word or inside one, stays as a token of its own, so that a word without a token
is spelled out and never becomes unknown because of this. Texts whose tokens are all kept are read as before, and the
model says exactly the same of them.

Abdaoui, Pradel and Sigel 2020, "Load What You Need: Smaller Versions of Multilingual BERT".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from ml_core.models.tokenise import TEXTS_AT_ONCE
from ml_core.registry.artifact import CONFIG, TOKENIZER, WEIGHTS
from ml_core.training.options import ConfigError

_ROWS = "word_embeddings.weight"
_TOKENIZER_SETTINGS = "tokenizer_config.json"
_UNUSED = "[unused"
_TOKEN_IDS = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "mask_token_id")


@dataclass(frozen=True)
class SmallerVocabulary:
    """``tokenizer`` is the content of a tokenizer.json. Its tokens are those with the old numbers ``kept``, in this
    order, and then one for each of ``made``: the old tokens whose mean its embedding is."""

    tokenizer: dict[str, Any]
    kept: list[int]
    made: list[list[int]]

    def __len__(self) -> int:
        return len(self.kept) + len(self.made)


def count_tokens(tokenizer: Path, texts: Iterable[str]) -> Counter[int]:
    """How often each token is used in ``texts``."""
    encode = Tokenizer.from_file(str(tokenizer))
    encode.no_padding()
    encode.no_truncation()
    counts = Counter[int]()
    part: list[str] = []
    for text in texts:
        part.append(text)
        if len(part) == TEXTS_AT_ONCE:
            _count(encode, part, counts)
            part = []
    _count(encode, part, counts)
    return counts


def shrink_vocabulary(
    tokenizer: Mapping[str, Any], counts: Mapping[int, int], size: int
) -> SmallerVocabulary:
    """The vocabulary of a tokenizer.json without what is not needed; see the module.

    ``counts`` are from `count_tokens`. What has to stay stays, also where that is more than ``size``.

    Raises ConfigError for another kind than WordPiece and Unigram.
    """
    model = tokenizer["model"]
    kind = model.get("type")
    if kind not in {"WordPiece", "Unigram"}:
        raise ConfigError(
            f"steps: vocabulary is for WordPiece and Unigram tokenizers; the model's is {kind}, whose merges need "
            "one another"
        )
    special = {int(each["id"]): str(each["content"]) for each in tokenizer["added_tokens"]}
    if kind == "WordPiece":
        pieces = dict(model["vocab"])
        prefix = str(model["continuing_subword_prefix"])
        special[pieces[model["unk_token"]]] = model["unk_token"]
        needed, made = _word_piece_needs(pieces, prefix, set(special.values()))
        names = {number: piece for piece, number in pieces.items()}
    else:
        names = {place: piece for place, (piece, _) in enumerate(model["vocab"])}
        special[int(model["unk_id"])] = names[int(model["unk_id"])]
        needed, made = _unigram_needs(names, special), {}
    names |= {number: content for number, content in special.items() if number not in names}
    kept = set(special) | needed | {number for number in counts if number in names}
    others = (number for number in sorted(names) if number not in kept)
    for number in others:
        if len(kept) + len(made) >= size:
            break
        if not names[number].startswith(_UNUSED):
            kept.add(number)
    order = sorted(kept)
    new_ids = {number: place for place, number in enumerate(order)}
    found = json.loads(json.dumps(tokenizer))
    if kind == "WordPiece":
        spelled = [names[number] for number in order] + list(made)
        found["model"]["vocab"] = {piece: place for place, piece in enumerate(spelled)}
    else:
        scores = model["vocab"]
        found["model"]["vocab"] = [scores[number] for number in order if number < len(scores)]
        found["model"]["unk_id"] = new_ids[int(model["unk_id"])]
    _renumber(found, new_ids)
    return SmallerVocabulary(found, order, list(made.values()))


def apply_vocabulary(source: Path, target: Path, vocabulary: SmallerVocabulary) -> None:
    """Write the weights, configuration and tokenizer of the model directory ``source`` with ``vocabulary`` to the
    directory ``target``.

    Raises ConfigError when the padding token would get another number, which some architectures count positions from.
    """
    config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    new_ids = {number: place for place, number in enumerate(vocabulary.kept)}
    padding = config.get("pad_token_id")
    if padding is not None and new_ids.get(padding) != padding:
        raise ConfigError(
            "steps: vocabulary: the padding token does not come first, so it cannot stay"
        )
    config["vocab_size"] = len(vocabulary)
    for key in _TOKEN_IDS:
        if isinstance(config.get(key), int):
            config[key] = new_ids[config[key]]
    (target / CONFIG).write_text(
        json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    tensors = load_file(source / WEIGHTS)
    for name, tensor in tensors.items():
        if name.endswith(_ROWS):
            made = [tensor[old].mean(0, keepdim=True) for old in vocabulary.made]
            tensors[name] = torch.cat([tensor[vocabulary.kept], *made])
    save_file(tensors, target / WEIGHTS, metadata={"format": "pt"})
    text = json.dumps(vocabulary.tokenizer, ensure_ascii=False)
    (target / TOKENIZER).write_text(text, encoding="utf-8")
    settings = source / _TOKENIZER_SETTINGS
    if settings.is_file():
        values = json.loads(settings.read_text(encoding="utf-8"))
        # Numbers of added tokens, which are in tokenizer.json as well.
        values.pop("added_tokens_decoder", None)
        text = json.dumps(values, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        (target / _TOKENIZER_SETTINGS).write_text(text, encoding="utf-8")


def _count(encode: Tokenizer, texts: Sequence[str], counts: Counter[int]) -> None:
    for encoding in encode.encode_batch_fast(texts):
        counts.update(encoding.ids)


def _word_piece_needs(
    pieces: Mapping[str, int], prefix: str, special: set[str]
) -> tuple[set[int], dict[str, list[int]]]:
    """The tokens that spell every character, and, where there is none, a new one and the tokens it is the mean of.

    WordPiece takes the longest token it has at each place and never goes back, so it gets stuck only where a character
    has no token for its place in the word.
    """
    holders: dict[str, list[int]] = {}
    for piece, number in pieces.items():
        if piece in special or piece.startswith(_UNUSED):
            continue
        inside = piece.startswith(prefix) and len(piece) > len(prefix)
        for place, character in enumerate(piece.removeprefix(prefix) if inside else piece):
            spelled = prefix + character if inside or place else character
            holders.setdefault(spelled, []).append(number)
    needed = {pieces[spelled] for spelled in holders if spelled in pieces}
    made = {}
    for spelled, numbers in holders.items():
        if spelled not in pieces:
            plain = pieces.get(spelled.removeprefix(prefix))
            # A token of its own means more than the words that hold the character.
            made[spelled] = [plain] if plain is not None else numbers
    return needed, made


def _unigram_needs(names: Mapping[int, str], special: Mapping[int, str]) -> set[int]:
    """Single characters and bytes, and every piece with a character that no piece spells: so a text that could be
    parted into pieces still can."""
    single = {piece for number, piece in names.items() if len(piece) == 1 and number not in special}
    return {
        number
        for number, piece in names.items()
        if len(piece) == 1 or piece.startswith("<0x") or not set(piece) <= single
    }


def _renumber(tokenizer: dict[str, Any], new_ids: Mapping[int, int]) -> None:
    for each in tokenizer["added_tokens"]:
        each["id"] = new_ids[each["id"]]
    padding = tokenizer.get("padding")
    if padding:
        padding["pad_id"] = new_ids[padding["pad_id"]]
    after: Any = tokenizer.get("post_processor") or {}
    for part in after.get("processors", [after]):
        for each in part.get("special_tokens", {}).values():
            each["ids"] = [new_ids[number] for number in each["ids"]]
        for key in ("sep", "cls"):
            if key in part:
                part[key] = [part[key][0], new_ids[part[key][1]]]
