"""What waits, whose turn it is, what is remembered: the parts of the engine that need no model."""

from __future__ import annotations

import random

import pytest

from ml_core.serving.cache import ResultCache, input_key
from ml_core.serving.errors import InferenceError, InferenceUnavailable, Overloaded
from ml_core.serving.metrics import OTHER, ServingMetrics
from ml_core.serving.scheduler import Scheduler
from ml_core.serving.transport import Attempts
from ml_core.serving.waiting import Answer, Piece, WaitingLine


def piece(length: int, key: object = None) -> Piece:
    return Piece(key if key is not None else object(), length, tuple(range(length)))


class Served:
    """Something with a line."""

    def __init__(self, budget: int = 64) -> None:
        self.line = WaitingLine()
        self.budget = budget


async def test_a_batch_holds_the_oldest_text_and_texts_of_its_length() -> None:
    generator = random.Random(0)
    lengths = [min(512, 4 + int(generator.lognormvariate(3.4, 0.8))) for _ in range(4000)]
    line, answer = WaitingLine(), Answer(len(lengths))
    for place, length in enumerate(lengths):
        line.add(piece(length), answer, place, arrival=place)
    padded, served = 0, set()
    while len(line):
        oldest = line.oldest_arrival("interactive")
        batch = line.draw(2048)
        assert oldest in {work.arrival for work in batch}, "nobody is overtaken for ever"
        tokens = max(work.piece.length for work in batch) * len(batch)
        assert tokens <= 2048
        padded += tokens
        served |= {work.arrival for work in batch}
    assert served == set(range(4000))
    assert padded / sum(lengths) < 1.4


async def test_a_long_text_is_not_overtaken_by_short_ones_that_keep_coming() -> None:
    line, long, short = WaitingLine(), Answer(1), Answer(10_000)
    for place in range(300):
        line.add(piece(5), short, place, arrival=place)
    line.add(piece(500), long, 0, arrival=300)
    batches, place = 0, 300
    while not any(work.piece.length == 500 for work in line.draw(64)):
        batches += 1
        for _ in range(12):
            line.add(piece(5), short, place, arrival=place + 1)
            place += 1
    assert batches <= 300 / 12 + 1, "only what was there before goes before it"


async def test_texts_that_nobody_waits_for_are_not_computed() -> None:
    line, wanted, given_up = WaitingLine(), Answer(1), Answer(3)
    for place in range(3):
        line.add(piece(2), given_up, place, arrival=place)
    line.add(piece(2), wanted, 0, arrival=3)
    given_up.future.cancel()
    assert [work.arrival for work in line.draw(100)] == [3]
    assert len(line) == 0
    assert line.draw(100) == []


async def test_what_is_asked_twice_is_computed_once_and_told_to_both() -> None:
    line, first, second = WaitingLine(), Answer(1), Answer(2)
    line.add(piece(3, "a"), first, 0, arrival=0, priority="batch")
    line.add(piece(3, "b"), second, 0, arrival=1)
    line.add(piece(3, "a"), second, 1, arrival=2)
    # Somebody waits for it now, so it does not wait behind them.
    batch = line.draw(100, "interactive")
    assert [work.piece.key for work in batch] == ["b", "a"]
    assert not line.waits("batch")
    for work in batch:
        line.done(work, work.piece.key)
    assert await first.future == ["a"]
    assert await second.future == ["b", "a"]
    # Done is done: asked again, it is computed again.
    third = Answer(1)
    line.add(piece(3, "a"), third, 0, arrival=3)
    assert len(line.draw(100)) == 1


async def test_a_piece_is_computed_for_the_one_who_stays_when_the_other_goes() -> None:
    line, gone, stays = WaitingLine(), Answer(1), Answer(1)
    line.add(piece(3, "a"), gone, 0, arrival=0)
    line.add(piece(3, "a"), stays, 0, arrival=1)
    gone.future.cancel()
    [work] = line.draw(100)
    line.done(work, 7)
    assert await stays.future == [7]


async def test_a_failure_reaches_everybody_who_asked() -> None:
    line, first, second = WaitingLine(), Answer(2), Answer(1)
    line.add(piece(3, "a"), first, 0, arrival=0)
    line.add(piece(3, "b"), first, 1, arrival=1)
    line.add(piece(3, "a"), second, 0, arrival=2)
    for work in line.draw(100):
        line.done(work, InferenceError("broken") if work.piece.key == "a" else 1)
    for answer in (first, second):
        with pytest.raises(InferenceError, match="broken"):
            await answer.future


async def test_interactive_goes_first_and_batch_never_stands_still() -> None:
    scheduler: Scheduler[Served] = Scheduler()
    backfill, chat = Served(), Served()
    answer = Answer(400)
    for place in range(200):
        backfill.line.add(piece(60), answer, place, arrival=place, priority="batch")
        chat.line.add(piece(60), answer, 200 + place, arrival=200 + place)
    scheduler.add(backfill)
    scheduler.add(chat)
    turns = []
    for _ in range(80):
        drawn = scheduler.next()
        assert drawn is not None
        turns.append(drawn[0])
    assert turns[:3] == [chat, chat, chat], "whoever sits and waits goes first"
    assert turns.count(backfill) == 20, "and one batch in four goes to the others"


async def test_the_oldest_of_all_lines_is_next_and_dropped_works_end_a_line() -> None:
    scheduler: Scheduler[Served] = Scheduler()
    early, late = Served(), Served()
    given_up, wanted = Answer(1), Answer(1)
    late.line.add(piece(4), wanted, 0, arrival=5)
    early.line.add(piece(4), given_up, 0, arrival=1)
    scheduler.add(late)
    scheduler.add(early)
    given_up.future.cancel()
    assert scheduler.waits("interactive")
    drawn = scheduler.next()
    assert drawn is not None
    assert drawn[0] is late
    assert scheduler.next() is None
    assert not scheduler


async def test_a_line_of_which_all_is_being_computed_has_no_turn() -> None:
    scheduler: Scheduler[Served] = Scheduler()
    served, first, second = Served(), Answer(1), Answer(1)
    served.line.add(piece(3, "a"), first, 0, arrival=0)
    scheduler.add(served)
    drawn = scheduler.next()
    assert drawn is not None
    served.line.add(piece(3, "a"), second, 0, arrival=1)
    scheduler.add(served)
    assert scheduler.next() is None
    [work] = drawn[1]
    served.line.done(work, 5)
    assert await second.future == [5]


def test_the_cache_forgets_the_least_recently_used_and_keeps_to_its_bytes() -> None:
    cache = ResultCache(4_000)
    output = {"label": "x" * 100}
    for number in range(50):
        cache.put("digest", input_key(f"text {number}"), output)
        cache.get("digest", input_key("text 0"))
        assert cache.bytes <= 4_000
    assert cache.get("digest", input_key("text 0")) == output
    assert cache.get("digest", input_key("text 49")) == output
    assert cache.get("digest", input_key("text 1")) is None
    assert cache.get("other digest", input_key("text 49")) is None
    cache.put("digest", input_key("large"), {"label": "x" * 10_000})
    assert cache.get("digest", input_key("large")) is None
    cache.get("digest", input_key("text 49"))["label"] = "changed"
    assert cache.get("digest", input_key("text 49")) == output, "an answer is its asker's own"
    none = ResultCache(0)
    none.put("digest", input_key("a"), output)
    assert none.get("digest", input_key("a")) is None


def test_a_text_is_never_taken_for_an_object_that_is_written_like_it() -> None:
    assert input_key('{"a": 1}') != input_key({"a": 1})
    assert input_key({"a": 1, "b": 2}) == input_key({"b": 2, "a": 1})


def test_the_number_of_organisations_in_the_metrics_is_bounded() -> None:
    metrics = ServingMetrics(queue_depth=lambda _: 0, memory_bytes=lambda: 0, cache_bytes=lambda: 0)
    names = {metrics.organisation(f"organisation {number}") for number in range(200)}
    assert len(names) == 51
    assert OTHER in names
    assert metrics.organisation("organisation 3") == "organisation 3"
    assert metrics.organisation("") == ""


def test_a_call_is_sent_again_after_growing_pauses_until_its_deadline() -> None:
    attempts = Attempts(timeout=60, retries=3)
    gone = InferenceUnavailable("gone")
    pauses = [attempts.pause(gone) for _ in range(3)]
    assert 0.02 < pauses[0] < 0.1
    assert pauses[0] < pauses[2] * 1.5
    with pytest.raises(InferenceUnavailable):
        attempts.pause(gone)
    # The process says how long; a caller without so much time is told at once.
    full = Overloaded("full", retry_after=2)
    assert 2 <= Attempts(timeout=60, retries=1).pause(full) <= 2.5
    with pytest.raises(Overloaded):
        Attempts(timeout=1, retries=1).pause(full)
    assert int(Attempts(timeout=2, retries=0).headers("")["x-deadline-ms"]) <= 2000
