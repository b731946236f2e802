"""From a record to the rows of the corpus, or to the rule that drops it. A pure function of the record and the
settings, so that several processes may share the work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ml_core.data.errors import DataError
from ml_core.pretraining.corpus.cleaning import tidy
from ml_core.pretraining.corpus.config import PARTS, CorpusConfig, Source
from ml_core.pretraining.corpus.dictionary import Simplifier
from ml_core.pretraining.corpus.held_out import HeldOut
from ml_core.pretraining.corpus.quality import judge_document, judge_texts, weight_of
from ml_core.pretraining.corpus.reading import Broken, Record, read_source
from ml_core.text.duplicates import Signature, content_hash, minhash_signature
from ml_core.text.language import detect_language
from ml_core.text.personal import mask_personal

# The language of a document shows in its beginning; likeness in as much as a long article.
_LANGUAGE_CHARACTERS = 2000
_COMPARED_CHARACTERS = 20_000
_EXAMPLE_CHARACTERS = 160
# However much of a text is mark-up, one this many times too long stays so.
_HOPELESS = 10
# Pairs shorter than this (a Chinese character counts twice) differ in what matters even when they are alike: "AA制 to
# split the bill" and "AB制 to split the bill" are two entries of a dictionary. Only exact copies of them go.
_SHORT_PAIR = 80
# Texts of different kinds are not compared: a title and its lead are also in their article.
_KIND_MARKS = {"documents": 0x00000000, "pairs": 0x5BD1E995, "matches": 0x2C1B3C6D}


@dataclass(frozen=True)
class Judged:
    """What became of a record: rows (two when both scripts are wanted), or ``rule`` and ``example`` of what it dropped.

    ``bucket`` is uniform in [0, 1) and follows from the text; texts that must stay on one side of the split have the
    same."""

    rule: str | None = None
    example: str = ""
    rows: tuple[dict[str, str], ...] = ()
    tokens: tuple[int, ...] = ()
    fingerprint: bytes = b""
    signature: Signature | None = None
    bucket: float = 0.0
    masked: dict[str, int] = field(default_factory=dict)
    cut_sentences: int = 0


class Judge:
    """Judges the records of the sources of a config. Raises DataError for a script table, held-out file or tokenizer
    that cannot be used."""

    def __init__(self, config: CorpusConfig) -> None:
        self._config = config
        table = config.script_table
        simplifier = Simplifier(table) if table is not None else None
        self._simplify: Callable[[str], str] = simplifier or (lambda text: text)
        self._held_out = HeldOut(_held_out_texts(config), self._simplify)
        self._count = _token_counter(config.tokenizer)
        self._quality = {each.name: each.judged_by(config.quality) for each in config.sources}

    @property
    def held_out(self) -> int:
        """How many different texts are held out."""
        return len(self._held_out)

    def judge_all(self, number: int, records: list[Record]) -> list[Judged]:
        """What becomes of each of ``records`` of source ``number``."""
        source = self._config.sources[number]
        judged = [self.judge(source, record) for record in records]
        counts = iter(self._count([text for each in judged for text in _row_texts(each, source)]))
        return [_with_tokens(each, source, counts) for each in judged]

    def judge(self, source: Source, record: Record) -> Judged:
        if isinstance(record, Broken):
            return Judged("unreadable", record.reason)
        texts = _texts_of(source, record)
        if isinstance(texts, Broken):
            return Judged("unreadable", texts.reason)
        # Not even worth cleaning.
        if max(map(len, texts)) > _HOPELESS * self._quality[source.name].max_characters:
            return Judged("too_long", _example(texts[0]))
        texts = [tidy(text) for text in texts]
        if source.kind == "documents":
            return self._document(source, texts[0])
        return self._pair(source, " ".join(texts[0].split("\n")), " ".join(texts[1].split("\n")))

    def _document(self, source: Source, text: str) -> Judged:
        quality = self._quality[source.name]
        rule = judge_document(text, quality)
        if rule:
            return Judged(rule, _example(text))
        language = detect_language(text[:_LANGUAGE_CHARACTERS])
        if language not in source.languages:
            return Judged("language", f"{language}: {_example(text)}")
        if self._held_out.holds(text):
            return Judged("held_out", _example(text))
        left, cut = self._held_out.cut(text)
        if cut:
            left = tidy(left)
            if judge_document(left, quality):
                return Judged("held_out", _example(text))
        left, masked = self._mask(left)
        rows = self._written(source, {"text": left, "language": language})
        return self._kept(
            source, rows, compared=self._simplify(left), same=left, masked=masked, cut=cut
        )

    def _pair(self, source: Source, first: str, second: str) -> Judged:
        example = f"{_example(first)} ↔ {_example(second)}"
        translation = source.kind == "pairs"
        rule = judge_texts((first, second), self._quality[source.name], translation=translation)
        if rule:
            return Judged(rule, example)
        languages = [
            detect_language(text, hint=hint) for text, hint in _hinted(source, first, second)
        ]
        wrong = languages != ["zh", "en"] if translation else set(languages) - set(source.languages)
        if wrong:
            return Judged("language", f"{'/'.join(languages)}: {example}")
        if self._held_out.holds(first) or self._held_out.holds(second):
            return Judged("held_out", example)
        (first, masked), (second, more) = self._mask(first), self._mask(second)
        for kind, count in more.items():
            masked[kind] = masked.get(kind, 0) + count
        row = dict(zip(PARTS[source.kind], (first, second), strict=True))
        if not translation:
            row["language"] = languages[0]
        rows = self._written(source, row)
        # Several translations of one English sentence, and several answers to one text, stay on one side of the split.
        same = second if translation else first
        return self._kept(
            source,
            rows,
            compared=self._simplify(f"{first}\n{second}"),
            same=same,
            masked=masked,
            cut=0,
        )

    def _mask(self, text: str) -> tuple[str, dict[str, int]]:
        return mask_personal(text) if self._config.mask_personal else (text, {})

    def _written(self, source: Source, row: dict[str, str]) -> tuple[dict[str, str], ...]:
        """The row in the scripts that are wanted."""
        row["source"] = source.name
        if self._config.script == "keep":
            return (row,)
        simple = {
            key: self._simplify(value) if key in PARTS[source.kind] else value
            for key, value in row.items()
        }
        if self._config.script == "both" and simple != row:
            return (simple, row)
        return (simple,)

    def _kept(
        self,
        source: Source,
        rows: tuple[dict[str, str], ...],
        *,
        compared: str,
        same: str,
        masked: dict[str, int],
        cut: int,
    ) -> Judged:
        mark = _KIND_MARKS[source.kind]
        short = source.kind != "documents" and weight_of(compared) < _SHORT_PAIR
        if short or not self._config.near_duplicates:
            signature = minhash_signature("")
        else:
            signature = minhash_signature(compared[:_COMPARED_CHARACTERS]) ^ np.uint32(mark)
        return Judged(
            rows=rows,
            fingerprint=hashlib.blake2b(
                content_hash(compared), salt=mark.to_bytes(4), digest_size=8
            ).digest(),
            signature=signature,
            bucket=_bucket(self._simplify(same)),
            masked=masked,
            cut_sentences=cut,
            # What the report shows if it turns out to be a duplicate.
            example=_example(compared),
        )


def _texts_of(source: Source, record: Mapping[str, Any]) -> list[str] | Broken:
    """The texts of a row; of documents the columns joined by a line break."""
    texts = []
    columns = source.columns_of()
    for part in PARTS[source.kind]:
        found = []
        for column in columns[part]:
            if column not in record:
                known = ", ".join(map(str, list(record)[:12]))
                return Broken(f"there is no column {column!r}, only {known}")
            value = record[column]
            if value is not None and not isinstance(value, (str, int, float)):
                return Broken(f"column {column!r} holds no text")
            found.append("" if value is None else str(value))
        texts.append("\n".join(found))
    return texts


def _held_out_texts(config: CorpusConfig) -> Iterator[str]:
    """Each text of the files that are held out by itself. Nothing may slip through because it could not be read."""
    for source in config.exclude:
        found = False
        for record in read_source(source):
            texts = record if isinstance(record, Broken) else _texts_of(source, record)
            if isinstance(texts, Broken):
                raise DataError(f"exclude {source.name!r}: {texts.reason}")
            found = True
            yield from map(tidy, texts)
        if not found:
            raise DataError(f"exclude {source.name!r}: there is no record in {source.path}")


def _hinted(source: Source, first: str, second: str) -> list[tuple[str, str | None]]:
    hints = ("zh", "en") if source.kind == "pairs" else (None, None)
    return list(zip((first, second), hints, strict=True))


def _bucket(text: str) -> float:
    return (
        int.from_bytes(hashlib.blake2b(content_hash(text), digest_size=6).digest(), "little")
        / 2**48
    )


def _example(text: str) -> str:
    """The beginning of a text, on one line and without personal data: reports are passed on."""
    line = " ".join(text[: 4 * _EXAMPLE_CHARACTERS].split())
    masked, _ = mask_personal(line)
    return masked if len(masked) <= _EXAMPLE_CHARACTERS else f"{masked[:_EXAMPLE_CHARACTERS]}…"


def _row_texts(judged: Judged, source: Source) -> list[str]:
    return [row[part] for row in judged.rows for part in PARTS[source.kind]]


def _with_tokens(judged: Judged, source: Source, counts: Iterator[int]) -> Judged:
    if not judged.rows:
        return judged
    tokens = tuple(next(counts) for _ in range(len(judged.rows) * len(PARTS[source.kind])))
    return replace(judged, tokens=tokens)


def _token_counter(name: str) -> Callable[[list[str]], list[int]]:
    """How many tokens a base's tokenizer cuts each text into, without those that begin and end it."""
    from tokenizers import Tokenizer

    from ml_core.models.found_bases import base_directory

    tokenizer = Tokenizer.from_file(str(base_directory(name) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def count(texts: list[str]) -> list[int]:
        return [
            len(each.ids) for each in tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ]

    return count
