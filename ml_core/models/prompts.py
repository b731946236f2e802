"""Prompts for cloze classification: a template with a text and a hidden word, and the words that stand for the labels.

Free of torch: a program that only reads what people write about prompts need not load it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from tokenizers import Encoding, Tokenizer

from ml_core.models.tokenise import TEXTS_AT_ONCE, TextEncoder

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_PLACES = ("{text}", "{mask}")
# How tokenizers write the space before a word.
_SPACES = "▁Ġ "


class PromptError(ValueError):
    """A template or a label's words that cannot be used: what is wrong and where."""


def check_template(template: str) -> None:
    """Raise PromptError unless {text} and {mask} stand in ``template`` once each, and no other placeholder."""
    for found in _PLACEHOLDER.finditer(template):
        if found.group() not in _PLACES:
            raise PromptError(
                f"{template!r} has the unknown placeholder {found.group()} at character {found.start() + 1}; use "
                "{text} and {mask}"
            )
    for place in _PLACES:
        count = template.count(place)
        if count != 1:
            problem = f"has {place} {count} times" if count else f"lacks {place}"
            raise PromptError(
                f"{template!r} {problem}; it must have {{text}} and {{mask}} once each"
            )


def read_verbalisers(path: Path) -> dict[str, tuple[str, ...]]:
    """The words of each label in a YAML file of ``label: word`` or ``label: [word, word]``.

    Raises PromptError naming the file and the label.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise PromptError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict) or not values:
        raise PromptError(f"{path}: expected a mapping of each label to a word or a list of words")
    return {str(label): _words(given, path, str(label)) for label, given in values.items()}


def _words(given: Any, path: Path, label: str) -> tuple[str, ...]:
    words = given if isinstance(given, list) else [given]
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise PromptError(
            f"{path}: label {label!r}: expected a word or a list of words, not {given!r} (what YAML reads as a number, "
            "yes or no must be in quotes)"
        )
    return tuple(word.strip() for word in words)


@dataclass(frozen=True)
class Cloze:
    """What is asked of a masked language model: the template, its mask token, and the words of each label with their
    token ids. The longest word says how many masks the template gets."""

    template: str
    mask: str
    mask_id: int
    words: dict[str, tuple[str, ...]]
    tokens: dict[str, tuple[tuple[int, ...], ...]]

    @classmethod
    def build(cls, template: str, words: Mapping[str, Sequence[str]], tokenizer: Any) -> Self:
        """Read the words as transformers' fast ``tokenizer`` would at the mask's place.

        Raises PromptError: a word that is not in the vocabulary, or one that two labels share.
        """
        backend: Tokenizer = tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        # A word at the mask begins as the mask does: after a space, or right after what is before it.
        lead = " " if template.partition("{mask}")[0][-1:].isspace() else ""
        foreign = {tokenizer.unk_token_id, *tokenizer.all_special_ids}
        owners: dict[tuple[int, ...], tuple[str, str]] = {}
        tokens: dict[str, tuple[tuple[int, ...], ...]] = {}
        for label, given in words.items():
            for word in given:
                ids = _token_ids(backend, lead + word)
                if not ids or foreign & set(ids):
                    raise PromptError(
                        f"label {label!r}: the word {word!r} is not in the vocabulary of the base"
                    )
                owner, same = owners.setdefault(ids, (label, word))
                if owner != label:
                    written = repr(word) if same == word else f"{same!r} or {word!r}"
                    raise PromptError(
                        f"the labels {owner!r} and {label!r} have the same word: {written}"
                    )
            tokens[label] = tuple(ids for ids, (owner, _) in owners.items() if owner == label)
        kept = {label: tuple(given) for label, given in words.items()}
        return cls(template, tokenizer.mask_token, tokenizer.mask_token_id, kept, tokens)

    @property
    def masks(self) -> int:
        """Masks in each text: tokens of the longest word."""
        return max(len(ids) for each in self.tokens.values() for ids in each)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, for a manifest."""
        return {
            "template": self.template,
            "mask": self.mask,
            "mask_id": self.mask_id,
            "verbalisers": {label: list(words) for label, words in self.words.items()},
            "tokens": {label: [list(ids) for ids in each] for label, each in self.tokens.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], labels: Sequence[str]) -> Self:
        """What `to_dict` gave, for ``labels``. Raises PromptError where it cannot have given that."""
        try:
            template = str(values["template"])
            check_template(template)
            return cls(
                template,
                str(values["mask"]),
                int(values["mask_id"]),
                {label: tuple(map(str, values["verbalisers"][label])) for label in labels},
                {
                    label: tuple(tuple(map(int, ids)) for ids in values["tokens"][label])
                    for label in labels
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise PromptError(f"cannot be read: {type(error).__name__} {error}") from error


def _token_ids(tokenizer: Tokenizer, word: str) -> tuple[int, ...]:
    ids = tokenizer.encode(word, add_special_tokens=False).ids
    # A sentence-piece vocabulary may have the space before an ideograph as a token of its own.
    while len(ids) > 1 and not (tokenizer.id_to_token(ids[0]) or "").strip(_SPACES):
        ids = ids[1:]
    return tuple(ids)


class ClozeEncoder(TextEncoder):
    """A tokenizer that puts every text into the template of ``cloze``. What is more than ``max_length`` tokens is cut
    from the text's end, never from the template; a mask token that the text itself has is left out."""

    def __init__(self, tokenizer: Tokenizer, cloze: Cloze, *, max_length: int) -> None:
        super().__init__(tokenizer, max_length=max_length)
        tokenizer.no_truncation()
        self._most = max_length
        self._mask_id = cloze.mask_id
        self._masks = cloze.masks
        filled = cloze.template.replace("{mask}", cloze.mask * cloze.masks)
        self._before, _, self._after = filled.partition("{text}")
        alone = tokenizer.encode(self._before + self._after).ids
        if alone.count(cloze.mask_id) != cloze.masks:
            raise PromptError(f"the base's tokenizer does not know its own mask token {cloze.mask}")
        if len(alone) >= max_length:
            raise PromptError(
                f"{cloze.template!r} is {len(alone)} tokens long with the masks, which leaves no room "
                f"for a text in max_length {max_length}"
            )

    def _stream(self, texts: Sequence[str]) -> Iterator[list[int]]:
        first = len(self._before)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            cut = [text[: self._max_characters] for text in texts[start : start + TEXTS_AT_ONCE]]
            filled = [f"{self._before}{text}{self._after}" for text in cut]
            for text, encoding in zip(cut, self._tokenizer.encode_batch(filled), strict=True):
                yield self._fitted(encoding, first, first + len(text))

    def _fitted(self, encoding: Encoding, first: int, last: int) -> list[int]:
        """The token ids with the masks of the template alone, at most as many as may be; the text is the characters
        from ``first`` to ``last``."""
        ids: list[int] = encoding.ids
        if len(ids) <= self._most and ids.count(self._mask_id) == self._masks:
            return ids
        own, foreign = [], set()
        for place, (begin, end) in enumerate(encoding.offsets):
            if ids[place] == self._mask_id:
                # A mask token may have taken the spaces beside it, so one of the template may reach into the text.
                if first <= begin and end <= last:
                    foreign.add(place)
            elif begin < last and end > first:
                own.append(place)
        excess = max(0, len(ids) - len(foreign) - self._most)
        foreign.update(own[max(0, len(own) - excess) :])
        return [token for place, token in enumerate(ids) if place not in foreign]
