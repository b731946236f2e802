"""What the load measurement sends: real headlines and articles, each once, four headlines to one article."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from tokenizers import Tokenizer

from bench.finance.model_data import load, normalised
from bench.finance.stories import items
from ml_core.models import resolve_base

# Tokens of a headline at most and of an article at least, with the two that frame a text; models read no more.
HEADLINE = 32
CUT = 128
# One text in so many is an article.
ARTICLE_EVERY = 5
_CHARACTERS = 4000
_SOURCES = 40


@dataclass(frozen=True, slots=True)
class Text:
    """A document to be sent; `tokens` is what the models read of it."""

    title: str
    body: str
    source: str
    tokens: int


def texts() -> Iterator[Text]:
    """Without end; after all were given once they come again as later editions, which are near duplicates."""
    headlines, articles = _pools()
    for number in count():
        pool = articles if number % ARTICLE_EVERY == ARTICLE_EVERY - 1 else headlines
        place = number // ARTICLE_EVERY
        if pool is headlines:
            place = number - place
        edition, place = divmod(place, len(pool))
        found = pool[place]
        title = f"{found.title} ({edition + 1})" if edition else found.title
        yield Text(title, found.body, found.source, found.tokens)


def distinct() -> int:
    """How many texts come before the first comes again."""
    headlines, articles = _pools()
    return min(len(headlines) * ARTICLE_EVERY // (ARTICLE_EVERY - 1), len(articles) * ARTICLE_EVERY)


@cache
def _pools() -> tuple[list[Text], list[Text]]:
    tokenizer = _tokenizer()
    rng = random.Random(11)
    news = items()
    heads = [item.title for item in news]
    heads += [row["text"] for row in _rows("sentfin")] + [row["text"] for row in _rows("finnl")]
    bodies = [(item.title, item.body) for item in news if item.body]
    # The first sentence of a wire report stands for its title.
    bodies += [
        (first, rest)
        for row in _rows("reuters")
        if (first := row["text"][:70].rpartition(" ")[0]) and (rest := row["text"][len(first) :])
    ]
    headlines = []
    for title in _distinct(heads):
        length = len(tokenizer.encode(title).ids)
        if 6 <= length <= HEADLINE:
            headlines.append(Text(title, "", _source(rng), length))
    articles = []
    known = {normalised(each.title) for each in headlines}
    for title, body in bodies:
        text = f"{title}\n{body}"[:_CHARACTERS]
        read = tokenizer.encode(text)
        if normalised(title) in known or len(read.ids) < CUT:
            continue
        known.add(normalised(title))
        # One token frames a text on each side; the piece behind the last that is kept is where it is cut.
        _start, end = read.offsets[CUT - 2]
        articles.append(Text(title, text[len(title) + 1 : end], _source(rng), CUT))
    rng.shuffle(headlines)
    rng.shuffle(articles)
    return headlines, articles


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(Path(resolve_base("rootstock-mini")) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _rows(name: str) -> list[dict[str, str]]:
    split = load(name)
    return [*split.train, *split.validation, *split.test]


def _distinct(titles: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for title in titles:
        found.setdefault(normalised(title), title)
    return list(found.values())


def _source(rng: random.Random) -> str:
    return f"Wire {rng.randrange(_SOURCES)}"
