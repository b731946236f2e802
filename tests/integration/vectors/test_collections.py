"""Texts are written once, found by meaning, changed and removed; nobody else sees them."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError, IntegrityError, ProgrammingError
from django.http import Http404
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg import sql
from vectors_helpers import (
    FIRST,
    ask,
    keys,
    make_collection,
    upsert,
    vector,
    work,
)

from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.modelhub.inference import InferenceUnavailable
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors import tables
from rootstock.vectors.models import Collection, Item, Space
from rootstock.vectors.services import (
    ItemInput,
    collection_create,
    collection_delete,
    items_delete,
    items_upsert,
)

TEXTS = ["the bank raises its rate", "rain in the north", "a new phone for the young"]


def space_tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^vectors_space_[0-9a-f]{32}$'"
        )
        return [name for (name,) in cursor.fetchall()]


def count_of(space: Space) -> sql.Composed:
    table = sql.Identifier(f"vectors_space_{space.pk.hex}")
    return sql.SQL("SELECT count(*) FROM {}").format(table)


def test_texts_are_found_by_what_they_say(live_db, organisation):
    collection = make_collection(organisation, TEXTS)
    answer = ask(organisation, collection, "bank rate", k=2)
    assert answer.hits[0].key == "0"
    assert len(answer.hits) == 2
    assert answer.model == FIRST
    expected = vector("base:packaged", "bank rate") @ vector("base:packaged", TEXTS[0])
    assert answer.hits[0].score == pytest.approx(expected, abs=1e-5)
    assert answer.hits[0].score > answer.hits[1].score


def test_a_collection_without_texts_answers_with_none(live_db, organisation):
    assert keys(organisation, make_collection(organisation), "bank") == []


def test_before_its_model_is_ready_a_collection_says_so(live_db, organisation):
    with organisation_scope(organisation.pk):
        collection = collection_create(name="News", model=FIRST, actor=SYSTEM)
    with pytest.raises(Problem) as error:
        ask(organisation, collection, "bank")
    assert error.value.status_code == 409


def test_writing_twice_is_writing_once(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS)
    models.asked.clear()
    with organisation_scope(organisation.pk):
        before = list(Item.objects.order_by("id").values())
    same = [ItemInput(str(n), f" {text}\x00 ") for n, text in enumerate(TEXTS)]
    done = upsert(organisation, collection, *same)
    assert (done.created, done.updated, done.unchanged) == (0, 0, 3)
    work(organisation)
    with organisation_scope(organisation.pk):
        assert list(Item.objects.order_by("id").values()) == before
    assert models.asked == []


def test_a_changed_text_is_found_by_its_new_words(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS)
    models.asked.clear()
    done = upsert(organisation, collection, ItemInput("1", "sun in the south"))
    assert (done.created, done.updated) == (0, 1)
    assert keys(organisation, collection, "rain north", k=1) == ["1"], "its former vector still"
    work(organisation)
    assert ask(organisation, collection, "sun south", k=1).hits[0].text == "sun in the south"
    assert ["sun in the south"] in [texts for _, texts, _ in models.asked]


def test_other_attributes_need_no_new_vector(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS)
    models.asked.clear()
    done = upsert(organisation, collection, ItemInput("1", TEXTS[1], attributes={"lang": "en"}))
    work(organisation)
    assert (done.updated, models.asked) == (1, [])
    assert keys(organisation, collection, "bank", filters={"lang": "en"}) == ["1"]


def test_what_is_removed_is_found_no_more(live_db, organisation):
    collection = make_collection(organisation, TEXTS)
    with organisation_scope(organisation.pk):
        assert items_delete(collection=collection, keys=["0", "9"]) == 1
        space = Space.objects.get()
        with connection.cursor() as cursor:
            cursor.execute(count_of(space))
            assert cursor.fetchone() == (2,)
    assert "0" not in keys(organisation, collection, "bank rate")


def test_a_deleted_collection_takes_its_vectors_along(live_db, organisation):
    collection = make_collection(organisation, TEXTS)
    before = set(space_tables())
    with organisation_scope(organisation.pk):
        collection_delete(collection=collection, actor=SYSTEM)
    assert len(before - set(space_tables())) == 1
    with pytest.raises(Http404):
        ask(organisation, collection, "bank")


def test_texts_written_while_nobody_answers_are_found_later(live_db, organisation, models):
    collection = make_collection(organisation, TEXTS)
    models.fail = [InferenceUnavailable("away")]
    upsert(organisation, collection, ItemInput("late", "a storm at sea"))
    work(organisation)
    assert "late" not in keys(organisation, collection, "storm sea")
    from rootstock.outbox.models import OutboxMessage

    with organisation_scope(organisation.pk):
        message = OutboxMessage.objects.get()
        assert message.attempts == 1
        OutboxMessage.objects.update(available_at=message.created_at)
    work(organisation)
    assert keys(organisation, collection, "storm sea", k=1) == ["late"]


@pytest.mark.parametrize(
    ("item", "place"),
    [
        (ItemInput("", "text"), "/items/1/key"),
        (ItemInput("0", "text"), "/items/1/key"),
        (ItemInput("a", " \x00 "), "/items/1/text"),
        (ItemInput("a", "half \ud800"), "/items/1/text"),
        (ItemInput("a", "text", reference="x" * 501), "/items/1/reference"),
        (ItemInput("a", "text", attributes={"a": {"b": 1}}), "/items/1/attributes"),
        (ItemInput("a", "text", attributes={"a": float("nan")}), "/items/1/attributes"),
    ],
)
def test_what_cannot_be_taken_is_named_and_nothing_is_written(db, scope, item, place):
    collection = Collection.objects.create(name="News")
    with pytest.raises(Problem) as error:
        items_upsert(collection=collection, items=[ItemInput("0", "fine"), item])
    assert [each["pointer"] for each in error.value.errors] == [place]
    assert not Item.objects.exists()


ITEMS = st.dictionaries(
    st.text("abc\u4e2d", min_size=1, max_size=3),
    st.tuples(
        st.text(min_size=1, max_size=20).filter(lambda text: text.replace("\x00", "").strip()),
        st.dictionaries(st.sampled_from("xy"), st.integers(0, 3) | st.booleans() | st.text("ab")),
    ),
    max_size=6,
)


@hypothesis_settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(first=ITEMS, second=ITEMS)
def test_any_items_written_in_any_number_of_times_are_the_last_ones(db, scope, first, second):
    """The rows are what a dictionary would hold, and the counts what changed in it."""
    with transaction.atomic():
        collection = Collection.objects.create(name="Any")
        for batch in (first, second, second):
            given_items = [ItemInput(k, text, "", values) for k, (text, values) in batch.items()]
            before = dict(Item.objects.values_list("key", "updated_at"))
            done = items_upsert(collection=collection, items=given_items)
            assert done.created == len(set(batch) - set(before))
            assert done.created + done.updated + done.unchanged == len(batch)
        assert (done.created, done.updated) == (0, 0)
        wanted = {**first, **second}
        stored = {row.key: row for row in Item.objects.all()}
        assert set(stored) == set(wanted)
        for key, (text, values) in wanted.items():
            if key in second or key not in first:
                assert stored[key].attributes == values
            from rootstock.vectors.services.items import clean_text, content_hash

            assert stored[key].text == clean_text(text)
            assert stored[key].content_hash == content_hash(stored[key].text)
        transaction.set_rollback(True)


# --- filters, exactness, the index ---------------------------------------------------------------


def many(organisation, count: int = 3000) -> Collection:
    """Enough texts for the index, whose vectors are random; a hundredth of them is rare."""
    collection = make_collection(organisation, ["one"])
    with organisation_scope(organisation.pk):
        items_delete(collection=collection, keys=["0"])
    generator = np.random.default_rng(7)
    with organisation_scope(organisation.pk):
        for start in range(0, count, 1000):
            items_upsert(
                collection=collection,
                items=[
                    ItemInput(f"n{n}", f"text {n}", "", {"rare": n % 100 == 0, "part": n % 3})
                    for n in range(start, start + 1000)
                ],
            )
        space = Space.objects.get()
        texts = tables.texts_missing(space, after=None, limit=count)
        vectors = generator.normal(size=(count, space.dimensions)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        assert tables.vectors_write(space, texts, vectors) == count
    return collection


def test_the_index_is_used_and_a_rare_attribute_still_fills_the_answer(live_db, organisation):
    many(organisation)
    with organisation_scope(organisation.pk):
        space = Space.objects.get()
        with connection.cursor() as cursor:
            cursor.execute(tables._SORTING, ["off"])
            query = sql.SQL(
                "EXPLAIN SELECT item.id FROM {} vector JOIN vectors_item item ON item.id = vector.item_id "
                "ORDER BY vector.embedding <#> array_fill(0.1, ARRAY[32])::vector LIMIT 10"
            )
            cursor.execute(query.format(sql.Identifier(f"vectors_space_{space.pk.hex}")))
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "embedding_idx" in plan, plan
        direction = np.full(32, 1 / np.sqrt(32), np.float32)
        exact = tables.nearest(space, direction, k=20, filters={"rare": True}, exact=True)
        found = tables.nearest(space, direction, k=20, filters={"rare": True})
    assert len(exact) == len(found) == 20
    assert all(hit.attributes["rare"] for hit in found)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert len({hit.key for hit in found} & {hit.key for hit in exact}) >= 18


def test_a_filter_that_few_pass_gives_all_of_them(live_db, organisation):
    collection = many(organisation)
    found = keys(organisation, collection, "one", k=50, filters={"rare": True, "part": [0, 1]})
    assert sorted(found) == sorted(f"n{n}" for n in range(0, 3000, 100) if n % 3 in (0, 1))


# --- one organisation and another ----------------------------------------------------------------


def test_nobody_else_finds_reads_or_writes(live_db, organisation, organisation_b):
    collection = make_collection(organisation, TEXTS)
    make_collection(organisation_b, ["the bank of another"])
    with pytest.raises(Http404):
        ask(organisation_b, collection, "bank rate")
    with organisation_scope(organisation.pk):
        space = Space.objects.get()
    with connection.cursor() as cursor:
        cursor.execute(count_of(space))
        assert cursor.fetchone() == (0,), "outside of any organisation"
    write = sql.SQL(
        "INSERT INTO {} SELECT gen_random_uuid(), '', array_fill(0, ARRAY[32])::vector"
    ).format(sql.Identifier(f"vectors_space_{space.pk.hex}"))
    with organisation_scope(organisation_b.pk), connection.cursor() as cursor:
        cursor.execute(count_of(space))
        assert cursor.fetchone() == (0,)
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            cursor.execute(write)
        for call in ("SELECT vectors_space_make(%s)", "SELECT vectors_space_drop(%s)"):
            with pytest.raises(DatabaseError, match="no such space"), transaction.atomic():
                cursor.execute(call, [space.pk])
    assert len(keys(organisation, collection, "bank", k=10)) == 3


def test_a_collection_has_one_active_space(db, scope):
    collection = Collection.objects.create(name="News")
    values = {"collection": collection, "label": "x", "source": "x", "dimensions": 3}
    Space.objects.create(state="active", digest="a", **values)
    with pytest.raises(IntegrityError), transaction.atomic():
        Space.objects.create(state="active", digest="b", **values)
