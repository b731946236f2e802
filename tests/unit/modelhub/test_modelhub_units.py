"""Splitting without leaks, cards without scripts, reports as pages show them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rootstock.modelhub.card import card_html
from rootstock.modelhub.models import ModelVersion, Split
from rootstock.modelhub.report import report_view
from rootstock.modelhub.services.snapshots import split_groups
from rootstock.modelhub.templatetags.models import duration

MEMBERS = st.lists(
    st.tuples(st.binary(min_size=1, max_size=2), st.sampled_from("abc")), min_size=1, max_size=200
)


@given(MEMBERS, st.floats(0.01, 0.5), st.floats(0, 0.5), st.integers(0, 1000))
def test_every_group_has_one_part_and_every_label_stays_in_training(
    members: list[tuple[bytes, str]], validation: float, test: float, seed: int
) -> None:
    fractions = {"validation_fraction": validation, "test_fraction": test, "seed": seed}
    split_of = split_groups(members, **fractions)
    assert set(split_of) == {group for group, _ in members}
    assert split_groups(members[::-1], **fractions) == split_of, "the order of rows does not matter"
    votes: dict[bytes, Counter[str]] = {}
    for group, label in members:
        votes.setdefault(group, Counter())[label] += 1
    by_label: dict[str, Counter[Split]] = {}
    for group, counter in votes.items():
        label = min(counter, key=lambda name: (-counter[name], name))
        by_label.setdefault(label, Counter())[split_of[group]] += 1
    for parts in by_label.values():
        assert parts[Split.TRAIN] >= 1
        if sum(parts.values()) >= 2:
            assert parts[Split.VALIDATION] >= 1
        if test == 0:
            assert parts[Split.TEST] == 0


def test_a_card_runs_nothing_and_has_no_inline_style() -> None:
    html = card_html(
        "# Title\n\n<script>alert(1)</script>\n\n## Part\n\n[x](javascript:alert(1))\n\n"
        "| a | b |\n|---|---:|\n| 1 | 2 |\n"
    )
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert "style=" not in html
    assert '<td class="num">2</td>' in html
    assert "<h3>Part</h3>" in html
    assert "Title" not in html


def test_a_report_prefers_the_test_part_and_keeps_the_order_of_labels() -> None:
    scores = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
    version = ModelVersion(
        metrics={
            "validation": {"macro_f1": 0.5},
            "test": {
                "macro_f1": 0.7,
                "labels": ["b", "a"],
                "per_label": {"a": scores, "b": scores},
                "confusion": [[999, 1], [0, 0]],
            },
        },
        organisation_id="00000000-0000-0000-0000-000000000000",
    )
    view = report_view(version)
    assert view is not None
    assert (view.part, view.macro_f1) == ("test", 0.7)
    assert [row["label"] for row in view.labels] == ["b", "a"]
    (_, first), (_, second) = view.confusion
    assert [cell.shade for cell in first] == [10, 1], "a single wrong text is still visible"
    assert [cell.share for cell in second] == [0.0, 0.0], "a label without texts divides by nothing"
    version.metrics = {}
    assert report_view(version) is None


def test_durations_as_people_say_them() -> None:
    assert [duration(value) for value in (None, 0.4, 95, 3725)] == [
        "—", "0 s", "1 min 35 s", "1 h 2 min",
    ]  # fmt: skip
