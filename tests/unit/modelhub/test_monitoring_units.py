"""Tallies that are added up, rules that judge them, policies that people set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.monitoring.policy import effective_policy, policy_check
from rootstock.modelhub.monitoring.rules import RULES, Facts, Finding, Labelled, rule_get
from rootstock.modelhub.monitoring.tallies import LATENCY_BOUNDS, Tally, distance, quantile

answers = st.lists(
    st.tuples(
        st.sampled_from(["up", "down", "flat"]),
        st.floats(0, 1),
        st.floats(0, 100_000),
        st.sampled_from(["en", "zh", ""]),
        st.one_of(st.none(), st.integers(0, 500_000)),
        st.one_of(st.none(), st.booleans()),
    ),
    max_size=30,
)


def tally_of(rows: list[Any]) -> Tally:
    made = Tally()
    for label, confidence, milliseconds, language, length, agreed in rows:
        made.add(
            label=label, confidence=confidence, milliseconds=milliseconds, language=language,
            length=length, agreed=agreed,
        )  # fmt: skip
    return made


def figures(tally: Tally) -> dict[str, Any]:
    columns = tally.columns()
    return {**columns, "confidence_sum": pytest.approx(columns["confidence_sum"])}


@given(st.lists(answers, min_size=3, max_size=3))
def test_tallies_merge_in_any_order_and_grouping(parts: list[list[Any]]) -> None:
    whole = tally_of([row for part in parts for row in part])
    first, second, third = map(tally_of, parts)
    first.merge(second)
    first.merge(third)
    assert first.columns() == figures(whole)
    third, second, other = (tally_of(parts[place]) for place in (2, 1, 0))
    second.merge(third)
    second.merge(other)
    assert second.columns() == figures(whole)


@given(st.lists(st.floats(1, 60_000), min_size=1, max_size=200), st.floats(0.05, 0.99))
def test_a_quantile_lies_in_the_class_of_the_true_one(times: list[float], share: float) -> None:
    made = Tally()
    for time in times:
        made.add(label="up", confidence=0.5, milliseconds=time)
    found = made.latency(share)
    true = sorted(times)[
        min(len(times) - 1, max(0, -(-int(share * len(times) * 1e6) // 10**6) - 1))
    ]
    assert found is not None
    assert found <= true * 1.6 + 1e-6
    assert found >= true / 1.6 / 1.6 - 1


def test_nothing_has_no_figures() -> None:
    empty = Tally()
    assert (empty.confidence, empty.failure_share, empty.latency(0.5), empty.agreement) == (
        None, None, None, None,
    )  # fmt: skip
    assert quantile({}, LATENCY_BOUNDS, 0.5) is None
    assert distance({"a": 1.0}, {"b": 1.0}) == 1.0
    assert distance({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}) == 0.0


def test_a_mix_of_very_many_labels_stays_bounded() -> None:
    made = Tally()
    for number in range(1000):
        made.add(label=f"label {number}", confidence=0.5, milliseconds=1)
    kept = made.columns()["counts"]["label"]
    assert len(kept) == 200
    assert sum(kept.values()) == 1000


def judged(key: str, facts: Facts, **limits: float) -> Finding | None:
    rule = rule_get(key)
    assert rule is not None
    return rule.judge({limit.key: limit.default for limit in rule.limits} | limits, facts)


def traffic(answered: int, *, failed: int = 0, confidence: float = 0.9, ms: float = 100) -> Tally:
    made = Tally(failed=failed)
    for _ in range(answered):
        made.add(label="up", confidence=confidence, milliseconds=ms)
    return made


@pytest.mark.parametrize(
    ("key", "facts", "broken"),
    [
        ("errors", Facts(traffic(5, failed=5)), None),
        ("errors", Facts(traffic(95, failed=5)), False),
        ("errors", Facts(traffic(90, failed=10)), True),
        ("errors", Facts(Tally(failed=30)), True),
        ("latency", Facts(traffic(100, ms=100)), False),
        ("latency", Facts(traffic(100, ms=20_000)), True),
        ("confidence", Facts(traffic(300, confidence=0.7)), None),
        ("confidence", Facts(traffic(300, confidence=0.7), traffic(300)), True),
        ("confidence", Facts(traffic(300, confidence=0.85), traffic(300)), False),
        ("agreement", Facts(Tally(), labelled=Labelled(20, 5)), None),
        ("agreement", Facts(Tally(), labelled=Labelled(100, 70)), True),
        ("agreement", Facts(Tally(), labelled=Labelled(100, 80)), False),
        ("drift", Facts(Tally()), None),
        ("drift", Facts(Tally(), drifts=[True, False, True]), False),
        ("drift", Facts(Tally(), drifts=[True, True, False]), True),
        ("canary-latency", Facts(traffic(60, ms=900), other=traffic(60, ms=100)), True),
        ("canary-latency", Facts(traffic(60, ms=110), other=traffic(60, ms=100)), False),
        ("canary-latency", Facts(traffic(60, ms=12), other=traffic(60, ms=2)), False),  # not felt
        ("canary-confidence", Facts(traffic(200, confidence=0.6), other=traffic(200)), True),
        (
            "canary-agreement",
            Facts(Tally(), labelled=Labelled(30, 26), other_labelled=Labelled(30, 28)),
            False,  # what chance explains
        ),
        (
            "canary-agreement",
            Facts(Tally(), labelled=Labelled(100, 60), other_labelled=Labelled(100, 90)),
            True,
        ),
        ("canary-labels", Facts(traffic(300), other=traffic(300)), False),
    ],
)
def test_what_a_rule_finds(key: str, facts: Facts, broken: bool | None) -> None:
    found = judged(key, facts)
    assert (found.broken if found else None) is broken


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_each_rule_has_a_sentence(rule: Any) -> None:
    said = rule.in_words({"value": 0.25, "limit": 0.1, "count": 1200})
    assert "%(" not in said
    assert said.endswith(".")


def test_a_policy_keeps_only_what_differs() -> None:
    kept = policy_check(
        {"errors": {"limits": {"share": 5, "minutes": 30}}, "drift": {"enabled": False}}
    )
    assert kept == {
        "errors": {"enabled": True, "limits": {"minutes": 30.0}},
        "drift": {"enabled": False, "limits": {}},
    }
    policy = effective_policy(kept)
    assert policy["errors"]["limits"] == {"share": 5, "minutes": 30.0, "minimum": 20}
    assert set(policy) == {rule.key for rule in RULES}


@pytest.mark.parametrize(
    "wrong",
    [
        {"mood": {}},
        {"errors": []},
        {"errors": {"enabled": "yes"}},
        {"errors": {"limits": {"mood": 1}}},
        {"errors": {"limits": {"share": float("nan")}}},
        {"errors": {"limits": {"share": True}}},
    ],
)
def test_a_policy_that_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelhubError) as refused:
        policy_check(wrong)
    assert refused.value.errors[0]["pointer"].startswith("/rules/")
