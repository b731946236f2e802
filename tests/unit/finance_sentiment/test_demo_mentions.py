"""The demonstration's companies in headlines: where they stand, and what is said of each."""

from __future__ import annotations

from apps.finance_sentiment.demo.composer import company_names
from apps.finance_sentiment.demo.headlines import load_headlines
from apps.finance_sentiment.demo.mentions import mentions_of
from ml_core.data import parse_row


def test_every_span_is_a_company_and_has_its_label() -> None:
    for each in mentions_of(load_headlines()):
        content = {"text": each.text, "spans": each.spans, "labels": each.labels}
        assert parse_row("span-classification", content).content == content
        for start, end in each.spans:
            assert each.text[start:end].startswith(tuple(company_names(each.language)))


def test_neighbours_differ_in_both_languages() -> None:
    found = mentions_of(load_headlines())

    assert found == mentions_of(load_headlines())
    for language in ("en", "zh"):
        parted = [each for each in found if each.language == language and len(set(each.labels)) > 1]
        assert len(parted) > 50
