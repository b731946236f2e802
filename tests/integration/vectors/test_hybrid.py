"""Search by words and meaning: what is found, why, and that the frequencies behind it are always right."""

from __future__ import annotations

import threading
from collections import Counter

import bm25s
import pytest
from django.db import connection, connections
from vectors_helpers import FIRST, SECOND, Models, make_collection, upsert, work

from ml_core.retrieval import terms
from rootstock.common.problems import Problem
from rootstock.modelhub.inference import InferenceUnavailable
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors import hybrid, words
from rootstock.vectors.models import Item, ItemWords, TermCount
from rootstock.vectors.services import ItemInput, items_delete
from rootstock.vectors.tasks import WORDS_TOPIC

TEXTS = [
    "如何修改信用卡的账单日？登录手机银行即可修改。",
    "转账手续费是多少？每笔最低两元。",
    "MaxKB 是一个知识库问答系统。",
    "Refunds are paid within five days.",
    "Your card A-1203 can be re-activated in the app.",
    "The annual fee of the gold card is 50 dollars.",
]


def find(organisation, collection, query, **options):
    return hybrid.search(organisation.pk, collection.pk, query, **options)


def keys(organisation, collection, query, **options):
    return [hit.key for hit in find(organisation, collection, query, **options).hits]


def frequencies(organisation, collection):
    """(items, sum of lengths, {term: items}) as the sums say, and as the texts say."""
    with organisation_scope(organisation.pk):
        texts = list(Item.objects.filter(collection=collection).values_list("text", flat=True))
        bags = [Counter(terms(text)) for text in texts]
        vocabulary = sorted({term for bag in bags for term in bag} | {"gone"})
        known = words.statistics(collection.pk, vocabulary)
    counted = Counter(term for bag in bags for term in bag)
    mean = sum(bag.total() for bag in bags) / len(bags) if bags else 0.0
    return (known.items, known.mean_length, dict(known.having)), (len(texts), mean, dict(counted))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("maxkb", "2"),  # one word
        ("请问 什么 是 maxkb", "2"),  # several words of which most texts have none
        ("手续费", "1"),
        ("請問轉帳手續費", "1"),  # Traditional finds Simplified
        ("帳單日 修改", "0"),
        ("a-1203", "4"),
        ("1203", "4"),
        ("refund", "3"),  # another form of the word
    ],
)
def test_words_are_found(organisation, live_db, query, expected):
    collection = make_collection(organisation, TEXTS)
    answer = find(organisation, collection, query, mode="words")
    assert answer.hits[0].key == expected
    assert answer.words_only == "asked"
    assert answer.hits[0].words
    assert answer.hits[0].rank_words == 1


def test_scores_of_words_are_those_of_bm25s(organisation, live_db):
    collection = make_collection(organisation, TEXTS)
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index([terms(text) for text in TEXTS], show_progress=False)
    for query in ("card fee", "修改信用卡手续费", "gold card A-1203"):
        asked = list(dict.fromkeys(terms(query)))
        known = {term for text in TEXTS for term in terms(text)}
        expected = index.get_scores([term for term in asked if term in known])
        found = {
            hit.key: hit.bm25 for hit in find(organisation, collection, query, mode="words").hits
        }
        assert found == pytest.approx(
            {str(n): score for n, score in enumerate(expected.tolist()) if score}, rel=1e-5
        )


def test_frequencies_are_right_after_every_kind_of_change(organisation, live_db):
    collection = make_collection(organisation, TEXTS)
    stored, true = frequencies(organisation, collection)
    assert stored == true
    upsert(
        organisation,
        collection,
        ItemInput("0", "gone gone something else"),
        ItemInput("9", "new 新的"),
    )
    upsert(organisation, collection, ItemInput("0", "another card"), ItemInput("1", TEXTS[1]))
    with organisation_scope(organisation.pk):
        items_delete(collection=collection, keys=["2", "3", "none"])
    stored, true = frequencies(organisation, collection)
    assert stored == true
    assert "gone" not in stored[2]
    assert keys(organisation, collection, "maxkb", mode="words") == []
    assert keys(organisation, collection, "another", mode="words") == ["0"]


def test_adding_frequencies_up_changes_nothing_but_the_number_of_rows(
    organisation, live_db, monkeypatch
):
    monkeypatch.setattr(words, "MERGE_AFTER", 3)
    collection = make_collection(organisation)
    for number, text in enumerate([*TEXTS, *TEXTS]):
        upsert(organisation, collection, ItemInput(str(number % 7), text))
    before, _true = frequencies(organisation, collection)
    with organisation_scope(organisation.pk):
        rows = TermCount.objects.count()
        words.counts_merge(collection.pk)
        assert TermCount.objects.count() < rows
    after, true = frequencies(organisation, collection)
    assert after == before == true


def test_frequencies_are_right_when_many_write_at_once(organisation, live_db):
    collection = make_collection(organisation)

    def write(start: int) -> None:
        try:
            for number in range(12):
                upsert(
                    organisation,
                    collection,
                    ItemInput(str(number % 4), f"card {start} {number % 5}"),
                )
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored, true = frequencies(organisation, collection)
    assert stored == true


def test_filters_hold_for_words_and_meaning(organisation, live_db):
    collection = make_collection(organisation)
    upsert(
        organisation,
        collection,
        *(
            ItemInput(f"{n}", f"card number {n}", attributes={"live": n % 3 == 0})
            for n in range(30)
        ),
    )
    work(organisation)
    for mode in ("hybrid", "words", "meaning"):
        found = find(organisation, collection, "card", k=10, filters={"live": True}, mode=mode).hits
        assert {hit.key for hit in found} == {str(n) for n in range(0, 30, 3)}


def test_common_words_read_no_more_than_they_may(organisation, live_db, monkeypatch):
    monkeypatch.setattr(hybrid, "_MOST_READ", 5)
    collection = make_collection(
        organisation, [*(f"card of customer {n}" for n in range(20)), "gold card of customer 99"]
    )
    read = []
    having = hybrid.items_having

    def noted(*arguments, **options):
        found = having(*arguments, **options)
        read.append(len(found.item_ids))
        return found

    monkeypatch.setattr(hybrid, "items_having", noted)
    assert keys(organisation, collection, "gold card", mode="words", k=1) == ["20"]
    # Even the rarest term is too common: what has the two rarest together comes first.
    assert keys(organisation, collection, "card customer", mode="words", k=3)
    assert max(read) <= 5


def test_another_organisation_finds_and_counts_nothing(organisation, organisation_b, live_db):
    collection = make_collection(organisation, TEXTS)
    other = make_collection(organisation_b, ["card"])
    with organisation_scope(organisation_b.pk), connection.cursor() as cursor:
        assert ItemWords.objects.count() == 1
        assert words.statistics(collection.pk, ["card"]).items == 0
        asked = words.term_number(collection.pk, "card")
        cursor.execute(
            "SELECT count(*) FROM vectors_words_having(%s, %s::integer[], '{}', 10)",
            [collection.pk, [asked]],
        )
        assert cursor.fetchone()[0] == 0
    assert keys(organisation_b, other, "card", mode="words") == ["0"]
    assert words.term_number(collection.pk, "card") != words.term_number(other.pk, "card")


def test_both_ways_are_told_and_mixed(organisation, live_db):
    collection = make_collection(organisation, TEXTS, model=SECOND)
    answer = find(organisation, collection, "annual fee of the gold card", k=3)
    best = answer.hits[0]
    assert best.key == "5"
    assert (answer.model, answer.words_only) == (SECOND, "")
    assert best.cosine is not None and best.bm25 > 0 and best.rank_vector == 1
    assert {"annual", "gold", "card"} <= set(best.words)
    assert find(organisation, collection, "annual fee", weight=1.0).hits[0].score == pytest.approx(
        find(organisation, collection, "annual fee", mode="meaning").hits[0].cosine
    )


def test_words_alone_where_the_model_does_not_read_the_language(organisation, live_db):
    collection = make_collection(organisation, TEXTS, model=FIRST)
    answer = find(organisation, collection, "转账手续费")
    assert (answer.words_only, answer.model) == ("language", "")
    assert answer.hits[0].key == "1"
    assert find(organisation, collection, "card fee").model == FIRST


def test_words_alone_while_no_model_answers(organisation, live_db, models: Models):
    collection = make_collection(organisation, TEXTS)
    models.fail = [InferenceUnavailable("away")]
    answer = find(organisation, collection, "refunds")
    assert (answer.words_only, answer.hits[0].key) == ("unavailable", "3")
    models.fail = [InferenceUnavailable("away")]
    with pytest.raises(Problem):
        find(organisation, collection, "refunds", mode="meaning")


def test_new_texts_are_found_by_words_before_a_model_has_read_them(organisation, live_db):
    collection = make_collection(organisation, ["something else"])
    upsert(organisation, collection, ItemInput("new", "the umbrella stand"))
    assert keys(organisation, collection, "umbrella")[0] == "new"


def test_items_without_words_get_them_in_the_background(organisation, live_db, monkeypatch):
    monkeypatch.setattr(words, "BATCH", 4)
    collection = make_collection(organisation, TEXTS)
    with organisation_scope(organisation.pk):
        ItemWords.objects.all().delete()
        TermCount.objects.all().delete()
    assert keys(organisation, collection, "maxkb", mode="words") == []
    from rootstock.outbox.services import outbox_write

    with organisation_scope(organisation.pk):
        outbox_write(WORDS_TOPIC, {"collection": str(collection.pk)})
    work(organisation)
    assert keys(organisation, collection, "maxkb", mode="words") == ["2"]
    stored, true = frequencies(organisation, collection)
    assert stored == true


def test_a_reranker_orders_the_best_and_its_absence_costs_nothing(
    organisation, live_db, monkeypatch
):
    collection = make_collection(organisation, TEXTS)
    monkeypatch.setattr(hybrid, "reranker_path", lambda name: f"artefact/{name}")
    monkeypatch.setattr(
        hybrid, "rerank", lambda path, query, texts: [float("A-1203" in text) for text in texts]
    )
    answer = find(organisation, collection, "gold card fee", reranker="better")
    assert answer.reranked
    assert (answer.hits[0].key, answer.hits[0].rerank, answer.hits[0].score) == ("4", 1.0, 1.0)

    def away(*_):
        raise InferenceUnavailable("away")

    monkeypatch.setattr(hybrid, "rerank", away)
    answer = find(organisation, collection, "gold card fee", reranker="better")
    assert not answer.reranked
    assert answer.hits[0].key == "5"


def test_a_weight_must_be_a_share(organisation, live_db):
    collection = make_collection(organisation, TEXTS)
    with pytest.raises(Problem) as caught:
        find(organisation, collection, "card", weight=2)
    assert caught.value.errors[0]["pointer"] == "/weight"
