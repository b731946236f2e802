from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from apps.finance_sentiment.demo.composer import Composer, patterns
from apps.finance_sentiment.demo.headlines import load_headlines
from apps.finance_sentiment.demo.topics import LANGUAGES, SENTIMENTS, TOPIC_SLUGS
from ml_core.text import detect_language, lsh_bands, minhash_signature, near_duplicate

REPOSITORY = Path(__file__).resolve().parents[3]


def test_enough_headlines_and_every_cell_of_the_grid_equally() -> None:
    headlines = load_headlines()
    assert len(headlines) >= 800
    cells = Counter((h.language, h.topic, h.label) for h in headlines)
    assert set(cells) == {(a, t, s) for a in LANGUAGES for t in TOPIC_SLUGS for s in SENTIMENTS}
    assert len(set(cells.values())) == 1


def test_no_two_headlines_are_near_duplicates() -> None:
    bands: dict[int, list[str]] = defaultdict(list)
    for headline in load_headlines():
        text = headline.text
        for band in lsh_bands(minhash_signature(text)):
            assert not [other for other in bands[band] if near_duplicate(text, other)], text
            bands[band].append(text)


def test_headlines_are_in_the_language_that_they_say() -> None:
    wrong = [h.text for h in load_headlines() if detect_language(h.text) != h.language]
    assert wrong == []


def test_no_single_word_gives_the_label_away() -> None:
    # Frequent words of movement must occur with more than one label: the model has to read.
    labels = defaultdict(set)
    for headline in load_headlines():
        for word in (
            "loss",
            "fall",
            "cut",
            "rise",
            "profit",
            "feared",
            "亏损",
            "下降",
            "上涨",
            "违约",
        ):
            if word in headline.text.casefold():
                labels[word].add(headline.label)
    assert {word: len(found) for word, found in labels.items() if len(found) < 2} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_composer_fills_every_pattern(language: str) -> None:
    composer = Composer(random.Random(1))
    for topic in TOPIC_SLUGS:
        for sentiment in SENTIMENTS:
            for pattern in patterns(language, topic, sentiment):
                text = composer.headline(language, topic, sentiment, pattern=pattern)
                assert "{" not in text
                assert "  " not in text
                assert any(character.isdigit() for character in text), text
                assert detect_language(text) == language
                assert near_duplicate(text, composer.copy(text, language)), text


def test_demo_needs_no_django() -> None:
    code = (
        "import sys, apps.finance_sentiment.demo.stream, apps.finance_sentiment.demo.headlines; "
        "print('django' in sys.modules, 'torch' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["False", "False"]
