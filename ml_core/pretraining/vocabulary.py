"""Two ways to a bilingual vocabulary: Chinese characters added to a base that has none, or a new vocabulary with a new
network of random weights.

An added character begins where its meaning is: as the mean of the base's rows of its English definition. The base's own
rows stay bit for bit, so what it knows of English is still there.
"""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from ml_core.data.errors import DataError
from ml_core.models.bases import BaseModelError, quiet_transformers
from ml_core.models.found_bases import base_directory
from ml_core.pretraining.corpus.dictionary import Simplifier, character_senses
from ml_core.pretraining.corpus.rows import corpus_texts
from ml_core.registry.artifact import CONFIG, WEIGHTS
from ml_core.training.options import ConfigError

TOKENIZER = "tokenizer.json"
FIGURES = "vocabulary.json"
TWINS = "twins.json"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]")
# Tensors with one row, or one number, for each token.
_TOKEN_ROWS = re.compile(
    r"(?:word_embeddings|embed_tokens|tok_embeddings|lm_head|decoder)\.weight$"
    r"|(?:lm_head|decoder|predictions)\.bias$"
)
# The part of its Simplified form's frequency up to which a Traditional character means nothing else in the corpus.
_RARE = 0.01
# Characters that a new vocabulary keeps at most, however rare the rest of it.
_MOST_CHARACTERS = 8000


def extend_vocabulary(
    base: str | Path,
    corpus: Path,
    out: Path,
    *,
    characters: int = 6000,
    definitions: Path | None = None,
    marks: bool = True,
    twins: bool = False,
    seed: int = 13,
) -> Path:
    """Write ``base`` with the ``characters`` most frequent Chinese characters of a prepared ``corpus`` that it has not,
    and with ``marks`` full-width punctuation too, to ``out``, and return that: a model directory.

    The new rows of the embeddings (and of a head over the vocabulary) are the mean of the base's rows of the tokens of
    the character's first English definition in ``definitions`` (CC-CEDICT), else drawn around the mean of all rows with
    their deviation (Hewitt 2021). With ``twins`` the corpus is in Simplified characters alone, and a character of it
    that is added brings its Traditional forms along: they take of the ``characters``, begin at the same row, and
    ``twins.json`` names them, so that `join_twins` can give them the row that the character has learned.
    ``vocabulary.json`` there says how many there are and how much of the corpus's
    Chinese they cover.

    Raises BaseModelError for a base that is no WordPiece model with whole safetensors weights, DataError for a corpus
    or dictionary that cannot be used, ConfigError for ``characters`` below 1.
    """
    if characters < 1:
        raise ConfigError("characters: must be at least 1")
    if twins and definitions is None:
        raise ConfigError("twins: needs definitions, which has the words in both scripts")
    source = base_directory(base)
    tokenizer = _word_piece(source)
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    stands_alone = _stands_alone(source)
    counts = Counter[str]()
    for text in corpus_texts(corpus):
        counts.update(text)
    chinese = {each: count for each, count in counts.items() if _HAN.match(each)}
    pairs = Simplifier(definitions).forms if twins and definitions is not None else {}
    # 著 and 乾 are also written in Simplified text, with a meaning of their own.
    forms = {
        o: n for o, n in pairs.items() if n in chinese and chinese.get(o, 0) <= _RARE * chinese[n]
    }
    # Of a Traditional text it would be as frequent as the character that it stands for.
    ordered = _frequent(chinese | {old: chinese[new] for old, new in forms.items()})
    new = [c for c in ordered if c not in vocabulary and stands_alone(c)][:characters]
    if marks:
        found = {c: n for c, n in counts.items() if _is_mark(c) and c not in vocabulary}
        new += [character for character in _frequent(found) if stands_alone(character)]
    if not new:
        raise DataError("has no Chinese character that the base has not", path=corpus)
    before = _covered(chinese, vocabulary)
    size = _add_tokens(tokenizer, new)
    senses = character_senses(definitions) if definitions is not None else {}
    # The base's own among them too: it has some characters, with rows that say little.
    forms = {old: new for old, new in forms.items() if old in vocabulary and new in vocabulary}
    senses |= {old: senses[form] for old, form in forms.items() if form in senses}
    defined = _extend_weights(source, out, new, senses, size=size, seed=seed)
    _copy_others(source, out)
    (out / TOKENIZER).write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    if (out / "vocab.txt").is_file():
        tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
        (out / "vocab.txt").write_text("".join(f"{each}\n" for each in tokens), encoding="utf-8")
    _set_vocabulary_size(out, size)
    if forms:
        (out / TWINS).write_text(json.dumps(forms, ensure_ascii=False, indent=0), encoding="utf-8")
    figures = {
        "base": str(base),
        "size": size,
        "added": len(new),
        "added_characters": sum(1 for each in new if _HAN.match(each)),
        "twins": len(forms),
        "defined": defined,
        # The share of the corpus's Chinese characters, each as often as it occurs, that are no unknown token.
        "covered_before": round(before, 6),
        "covered": round(_covered(chinese, vocabulary), 6),
    }
    (out / FIGURES).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return out


def join_twins(model: Any, tokenizer: Any, twins: Path) -> int:
    """Give every Traditional character of ``twins``, the file that `extend_vocabulary` wrote, the row that its
    Simplified form has in ``model``'s embeddings; how many there were. Both scripts then read the same.

    Raises BaseModelError for a file that cannot be read or does not fit the vocabulary.
    """
    import torch

    try:
        pairs: dict[str, str] = json.loads(twins.read_text(encoding="utf-8"))
        vocabulary: dict[str, int] = tokenizer.get_vocab()
        old = [vocabulary[each] for each in pairs]
        new = [vocabulary[each] for each in pairs.values()]
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{twins}: cannot be read: {error}") from error
    except KeyError as error:
        raise BaseModelError(f"{twins}: the vocabulary has no {error}") from error
    rows = model.get_input_embeddings().weight
    with torch.no_grad():
        rows[old] = rows[new]
    return len(pairs)


def train_vocabulary(
    corpus: Path,
    out: Path,
    *,
    size: int,
    kind: Literal["wordpiece", "unigram"] = "wordpiece",
    layers: int = 6,
    hidden: int = 384,
    heads: int = 12,
    intermediate: int = 1536,
    positions: int = 512,
    seed: int = 13,
) -> Path:
    """Learn a vocabulary of ``size`` tokens from a prepared ``corpus`` and write it, with a BERT of random weights, to
    ``out``, and return that: a model directory.

    A WordPiece vocabulary (as BERT's, uncased) has Chinese by the character; a Unigram one (Kudo 2018) also Chinese
    words. Which of the rarest, equally frequent pieces are in it may differ from call to call, as the trainers of
    `tokenizers` count in hash tables without an order; the weights follow from the seed and the size.

    Raises DataError for the corpus, ConfigError for a network that cannot be.
    """
    if kind not in {"wordpiece", "unigram"}:
        raise ConfigError(f"kind: {kind!r} is none of wordpiece, unigram")
    if hidden % heads:
        raise ConfigError(f"heads: {heads} do not divide hidden, {hidden}")
    if size <= 2 * len(SPECIAL_TOKENS):
        raise ConfigError(f"size: must be more than {2 * len(SPECIAL_TOKENS)}")
    tokenizer = _learned(corpus_texts(corpus), size, kind)
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    quiet_transformers()
    special = {
        f"{name}_token": token
        for name, token in zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL_TOKENS, strict=True)
    }
    fast: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, model_max_length=positions, **special
    )
    config = BertConfig(
        vocab_size=len(fast),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        max_position_embeddings=positions,
        pad_token_id=fast.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config, add_pooling_layer=False)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out, max_shard_size="1000GB")
    fast.save_pretrained(out)
    figures = {"kind": kind, "size": len(fast), "parameters": model.num_parameters()}
    (out / FIGURES).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return out


def _word_piece(directory: Path) -> dict[str, Any]:
    path = directory / TOKENIZER
    try:
        tokenizer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind = tokenizer["model"]["type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BaseModelError(f"{path}: cannot be read: {error}") from error
    if kind != "WordPiece":
        raise BaseModelError(
            f"{directory}: characters can be added to a WordPiece vocabulary; this is {kind}"
        )
    return tokenizer


def _stands_alone(directory: Path) -> Callable[[str], bool]:
    """Whether the tokenizer's normaliser and pre-tokenizer leave a character as it is and make it a word of its own."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / TOKENIZER))

    def stands_alone(character: str) -> bool:
        text = f"a{character}a"
        if tokenizer.normalizer is not None:
            text = tokenizer.normalizer.normalize_str(text)
        if tokenizer.pre_tokenizer is None:
            return False
        return character in [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]

    return stands_alone


def _is_mark(character: str) -> bool:
    """Punctuation of Chinese text; ASCII's is in every base."""
    return ord(character) > 0x7F and unicodedata.category(character).startswith("P")


def _frequent(counts: dict[str, int]) -> list[str]:
    """From the most frequent on; equally frequent ones by code point, so that the order is always the same."""
    return sorted(counts, key=lambda each: (-counts[each], each))


def _covered(counts: dict[str, int], vocabulary: dict[str, int]) -> float:
    whole = sum(counts.values())
    return sum(n for each, n in counts.items() if each in vocabulary) / whole if whole else 0.0


def _add_tokens(tokenizer: dict[str, Any], new: Sequence[str]) -> int:
    """Number the new tokens behind all others; the size of the vocabulary then."""
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    numbers = [*vocabulary.values(), *(each["id"] for each in tokenizer["added_tokens"])]
    first: int = max(numbers) + 1
    vocabulary.update({token: first + place for place, token in enumerate(new)})
    return first + len(new)


def _extend_weights(
    source: Path, out: Path, new: Sequence[str], senses: dict[str, str], *, size: int, seed: int
) -> int:
    """Write the weights with rows for ``new``; how many of them begin at a definition."""
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    rows = size - len(new)
    ids = _definition_tokens(source, new, senses, rows)
    try:
        with safe_open(source / WEIGHTS, "pt") as file:
            # Names are in the file's order; what is written has the same.
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {"format": "pt"}
    except (OSError, SafetensorError) as error:
        raise BaseModelError(f"{source / WEIGHTS}: cannot be read as a whole: {error}") from error
    names = [n for n, t in tensors.items() if _TOKEN_ROWS.search(n) and t.shape[0] == rows]
    if not any("embed" in name for name in names):
        raise BaseModelError(f"{source}: has no embeddings of {rows} tokens")
    for name in names:
        old = tensors[name]
        generator = torch.Generator().manual_seed(seed)
        known = old.float()
        deviation = known.std(0, unbiased=False)
        added = []
        for tokens in ids:
            noise = torch.randn(known.shape[1:], generator=generator) * deviation
            added.append(known[tokens].mean(0) if tokens else known.mean(0) + noise)
        tensors[name] = torch.cat([old, torch.stack(added).to(old.dtype)]).contiguous()
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / WEIGHTS, metadata=metadata)
    return sum(1 for tokens in ids if tokens)


def _definition_tokens(
    source: Path, new: Sequence[str], senses: dict[str, str], rows: int
) -> list[list[int]]:
    """The base's tokens of each new token's English definition; none where there is none, or it is unknown to it."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(source / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    special = {
        number for number, each in tokenizer.get_added_tokens_decoder().items() if each.special
    }
    found = []
    for token in new:
        ids = tokenizer.encode(senses.get(token, ""), add_special_tokens=False).ids
        found.append([number for number in ids if number not in special and number < rows])
    return found


def _copy_others(source: Path, out: Path) -> None:
    """Everything that says how the model is used; a checkpoint's or an artefact's own files stay behind."""
    for path in sorted(source.iterdir()):
        if path.is_dir() and path.name[:1].isdigit():
            shutil.copytree(path, out / path.name, dirs_exist_ok=True)
        elif path.suffix in {".json", ".txt"} and path.name not in {
            TOKENIZER, "manifest.json", "data_config.json", FIGURES, TWINS
        }:  # fmt: skip
            shutil.copyfile(path, out / path.name)


def _set_vocabulary_size(out: Path, size: int) -> None:
    path = out / CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"vocab_size": size}, indent=1), encoding="utf-8")


def _learned(texts: Iterator[str], size: int, kind: str) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from tokenizers import decoders as joined

    trainer: Any
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106  # no password
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = joined.WordPiece()
        trainer = trainers.WordPieceTrainer(
            vocab_size=size,
            special_tokens=list(SPECIAL_TOKENS),
            # Half for characters: there are more of them in Chinese than the trainer would keep.
            limit_alphabet=min(_MOST_CHARACTERS, size // 2),
            min_frequency=2,
            show_progress=False,
        )
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.BertNormalizer(
            lowercase=True, handle_chinese_chars=False
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
        )
        tokenizer.decoder = joined.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=size,
            special_tokens=list(SPECIAL_TOKENS),
            unk_token="[UNK]",  # noqa: S106  # no password
            show_progress=False,
        )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return tokenizer
