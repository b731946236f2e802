"""Where synonyms come from: a base model's embeddings, a file of the user, a Chinese dictionary.

A source is anything with ``lookup(word)``. Nothing is downloaded. No WordNet comes with the
program: the packages that carry its data are no longer maintained; a WordNet export works as a
`FileSynonyms`.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from ml_core.augmentation.errors import AugmentationError
from ml_core.augmentation.words import opposite, same_stem
from ml_core.data.encoding import decode_utf8
from ml_core.data.errors import DataError
from ml_core.text.segmentation import chinese_word_counts

# Cosine from which a neighbour in the input embeddings of a BERT-like base is mostly a synonym, read
# off the packaged base: "money" has dollars .58, cash .54, funds .54, then financial .42, bank .40.
TABLE_SIMILARITY = 0.45
# The same for whole words through the packaged encoder: cash .71, funds .69, then rich .66.
ENCODER_SIMILARITY = 0.68

_TABLE_NAMES = (
    "word_embeddings.weight",
    "embed_tokens.weight",
    "tok_embeddings.weight",
    "wte.weight",
)
_WORD_MARKS = ("Ġ", "▁")


class Synonyms(Protocol):
    """A source of words that can stand for another."""

    def lookup(self, word: str) -> Sequence[str]:
        """Words that can stand for ``word``, the best first; none is an empty sequence."""
        ...


class FileSynonyms:
    """Synonyms from a UTF-8 file: one group a line, words separated by commas or tabs.

    Empty lines and lines that begin with ``#`` do not count. A word may be in several groups.
    Raises DataError (file, line) for a group of one word, a file without groups, an unreadable one.
    """

    def __init__(self, path: Path | str) -> None:
        path = Path(path)
        try:
            content = decode_utf8(path.read_bytes(), path)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", path=path) from None
        self._words: dict[str, list[str]] = defaultdict(list)
        for line, source in enumerate(content.split("\n"), start=1):
            if not source.strip() or source.lstrip().startswith("#"):
                continue
            group = [" ".join(word.split()) for word in re.split("[,\t，]", source)]
            group = list(dict.fromkeys(word for word in group if word))
            if len(group) < 2:
                raise DataError(
                    "a group needs two words, separated by a comma", path=path, line=line
                )
            for word in group:
                known = self._words[word.casefold()]
                known.extend(other for other in group if other != word and other not in known)
        if not self._words:
            raise DataError("no groups of synonyms", path=path)

    def lookup(self, word: str) -> Sequence[str]:
        return tuple(self._words.get(word.casefold(), ()))


class EmbeddingSynonyms:
    """Nearest neighbours by cosine among ``words`` with ``vectors`` of shape (words, width).

    Embeddings put opposites and inflections next to each other; known opposites and forms of the
    same word are left out. Neighbours are computed when first asked for and remembered.
    """

    def __init__(
        self,
        words: Sequence[str],
        vectors: np.ndarray,
        *,
        neighbours: int = 5,
        minimum: float = TABLE_SIMILARITY,
    ) -> None:
        if len(words) != len(vectors):
            raise ValueError(f"{len(words)} words but {len(vectors)} vectors")
        self._words = [word.casefold() for word in words]
        self._places = {word: place for place, word in enumerate(self._words)}
        centred = np.asarray(vectors, dtype=np.float32)
        # The common direction of all vectors says nothing about meaning (Mu and Viswanath 2018).
        centred = centred - centred.mean(0, keepdims=True)
        norms = np.linalg.norm(centred, axis=1, keepdims=True)
        self._vectors = centred / np.maximum(norms, 1e-12)
        self._neighbours = neighbours
        self._minimum = minimum
        self._known: dict[str, tuple[str, ...]] = {}

    @classmethod
    def from_base(cls, base: str | Path, **options: Any) -> Self:
        """The input embeddings of the base model's own whole-word tokens; torch is not loaded.

        ``base`` is "packaged" or a model directory with ``tokenizer.json`` and safetensors weights.
        Raises AugmentationError or BaseModelError when it has none. A base of Chinese characters
        has few whole words: give `CedictSynonyms` or a file for Chinese.
        """
        words, vectors = _embedding_table(base)
        return cls(words, vectors, **options)

    @classmethod
    def from_encoder(
        cls,
        words: Sequence[str],
        encode: Callable[[Sequence[str]], np.ndarray],
        *,
        cache: Path | str | None = None,
        minimum: float = ENCODER_SIMILARITY,
        **options: Any,
    ) -> Self:
        """``encode`` (texts to an array of shape (texts, width)) applied to a word list.

        With ``cache`` (a ``.npz`` file) the vectors are written once and read back while the word
        list is the same; give each encoder a file of its own.
        """
        words = list(dict.fromkeys(word.casefold() for word in words))
        if not words:
            raise AugmentationError("the word list is empty")
        path = None if cache is None else Path(cache)
        if path is not None and path.is_file():
            with np.load(path, allow_pickle=False) as stored:
                if stored["words"].tolist() == words:
                    return cls(words, stored["vectors"], minimum=minimum, **options)
        vectors = np.asarray(encode(words), dtype=np.float32)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # numpy adds .npz to other names; an unfinished file is never taken for a whole one.
            unfinished = path.with_name(f"{path.name}.unfinished.npz")
            np.savez(unfinished, words=np.array(words), vectors=vectors.astype(np.float16))
            unfinished.replace(path)
        return cls(words, vectors, minimum=minimum, **options)

    def lookup(self, word: str) -> Sequence[str]:
        folded = word.casefold()
        if folded not in self._known:
            self._known[folded] = self._nearest(folded)
        return self._known[folded]

    def _nearest(self, word: str) -> tuple[str, ...]:
        place = self._places.get(word)
        if place is None:
            return ()
        similarity = self._vectors @ self._vectors[place]
        near = np.flatnonzero(similarity >= self._minimum)
        near = near[np.argsort(-similarity[near], kind="stable")]
        found: list[str] = []
        for index in near:
            other = self._words[index]
            if not same_stem(word, other) and not opposite(word, other) and other not in found:
                found.append(other)
        return tuple(found[: self._neighbours])


class CedictSynonyms:
    """Chinese words of one meaning by a CC-CEDICT file (``.txt``, ``.u8`` or ``.gz``).

    Two words are synonyms when they share two English glosses, or their first one: a single shared
    gloss is often a homonym (银行 and 堤岸 are both "bank"), and one that more than twelve words share
    is too vague. Only words of at least two characters that the segmenter knows from text, so that
    nothing rare or classical is put into a sentence; those that share most come first, then the
    frequent. Raises DataError (file, line).
    """

    def __init__(
        self, path: Path | str, *, neighbours: int = 5, minimum_frequency: int = 50
    ) -> None:
        path = Path(path)
        try:
            raw = path.read_bytes()
            content = decode_utf8(gzip.decompress(raw) if path.suffix == ".gz" else raw, path)
        except (OSError, EOFError) as error:
            raise DataError(f"cannot be read: {error}", path=path) from None
        self._neighbours = neighbours
        counts = chinese_word_counts()
        self._frequency: dict[str, int] = {}
        self._glosses: dict[str, list[str]] = defaultdict(list)
        self._sharing: dict[str, list[str]] = defaultdict(list)
        for line, source in enumerate(content.splitlines(), start=1):
            if not source.strip() or source.startswith("#"):
                continue
            entry = _CEDICT_ENTRY.match(source)
            if entry is None:
                problem = "not a CC-CEDICT entry: traditional simplified [pinyin] /gloss/…/"
                raise DataError(problem, path=path, line=line)
            word = entry["simplified"]
            frequency = counts.get(word, 0)
            if len(word) < 2 or frequency < minimum_frequency:
                continue
            self._frequency[word] = frequency
            glosses = [_plain_gloss(gloss) for gloss in entry["glosses"].split("/")]
            for gloss in dict.fromkeys(gloss for gloss in glosses if gloss):
                self._glosses[word].append(gloss)
                self._sharing[gloss].append(word)
        if not self._frequency:
            raise DataError("no entry has a word that is common enough", path=path)

    def lookup(self, word: str) -> Sequence[str]:
        shared: Counter[str] = Counter()
        first: set[str] = set()
        for place, gloss in enumerate(dict.fromkeys(self._glosses.get(word, ()))):
            words = set(self._sharing[gloss]) - {word}
            if len(words) < _VAGUE_GLOSS:
                shared.update(words)
                if place == 0:
                    first = {other for other in words if self._glosses[other][0] == gloss}
        meant = [other for other in shared if shared[other] > 1 or other in first]
        ranked = sorted(meant, key=lambda other: (-shared[other], -self._frequency[other], other))
        return tuple(other for other in ranked if not opposite(word, other))[: self._neighbours]


class JoinedSynonyms:
    """Several sources as one, the words of the first source first."""

    def __init__(self, sources: Sequence[Synonyms]) -> None:
        self._sources = tuple(sources)

    def lookup(self, word: str) -> Sequence[str]:
        return tuple(dict.fromkeys(other for one in self._sources for other in one.lookup(word)))


_VAGUE_GLOSS = 12
_CEDICT_ENTRY = re.compile(r"\S+ (?P<simplified>\S+) \[[^\]]*\] /(?P<glosses>.*)/\s*$")
# Explanations and references instead of a meaning.
_NO_MEANING = re.compile(
    r"variant of|surname |see |also written|also pr\.|abbr\. |CL:|Taiwan pr|county|city |prefecture"
    r"|name of|\(name\)|erhua|old |used (?:in|as|to|before|after)|particle"
)


def _plain_gloss(gloss: str) -> str:
    """The gloss without remarks in brackets; empty when it is not a meaning."""
    if _NO_MEANING.search(gloss):
        return ""
    plain = re.sub(r"\([^)]*\)", "", gloss)
    return " ".join(plain.split()).casefold()


def _embedding_table(base: str | Path) -> tuple[list[str], np.ndarray]:
    """(words, vectors of shape (words, width)) of the base's whole-word tokens of 2 or more
    characters."""
    from ml_core.models.bases import resolve_base

    directory = resolve_base(base)
    if not isinstance(directory, Path):
        raise AugmentationError(f"{base}: download the model and give its directory")
    try:
        vocabulary = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
        entries = vocabulary["model"]["vocab"]
        marked = any(token.startswith(_WORD_MARKS) for token in entries)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AugmentationError(
            f"{directory / 'tokenizer.json'}: no vocabulary of words: {error}"
        ) from None
    ids: dict[str, int] = {}
    for token, number in entries.items():
        if marked and not token.startswith(_WORD_MARKS):
            continue
        word = token.lstrip("".join(_WORD_MARKS)).casefold()
        if len(word) > 1 and word.isalpha() and (not word.isascii() or len(word) > 2):
            ids.setdefault(word, number)
    table = _read_table(directory)
    rows = [number for number in ids.values() if number < len(table)]
    if len(rows) != len(ids) or not ids:
        raise AugmentationError(f"{directory}: the vocabulary does not fit the embedding table")
    return list(ids), table[rows]


def _read_table(directory: Path) -> np.ndarray:
    from safetensors import SafetensorError, safe_open

    for file in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(file, framework="np") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - not a mapping
                    if name.endswith(_TABLE_NAMES):
                        return np.asarray(tensors.get_tensor(name), dtype=np.float32)
        except (SafetensorError, TypeError, OSError) as error:
            raise AugmentationError(f"{file}: cannot be read: {error}") from None
    raise AugmentationError(f"{directory}: no input embeddings in its safetensors files")
