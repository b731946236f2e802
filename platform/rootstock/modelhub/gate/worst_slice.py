"""Is there a kind of example on which it is bad?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate.base import Check, Finding, Limits, Outcome, Report
from rootstock.modelhub.gate.figures import (
    fewest_examples,
    needs_own,
    number,
    of_own_report,
    share,
    written,
)
from rootstock.modelhub.policies import Limit

LEAST = Limit("smallest_figure", gettext_noop("Smallest figure of a slice"), 0.5, 0.0, 1.0)
EXAMPLES = fewest_examples(gettext_noop("Slices of at least"), 20)


@of_own_report
def judge(report: Report, split: str, limits: Limits) -> Finding:
    """No slice of the report, and no label, that has enough examples is below the limit."""
    every = list(_slices(report))
    if not every:
        message = gettext_noop("The report has neither slices nor labels.")
        return Finding(Outcome.NOT_APPLICABLE, message)
    fewest = limits[EXAMPLES.key]
    large = [row for row in every if row["count"] >= fewest]
    if not large:
        message = gettext_noop("No slice has %(fewest)s examples, too few to tell.")
        return Finding(Outcome.NOT_APPLICABLE, message, {"fewest": f"{fewest:g}"})
    large.sort(key=lambda row: (float(row["value"]), str(row["slice"])))
    worst = large[0]
    return Finding(
        Outcome.PASSED if worst["value"] >= limits[LEAST.key] else Outcome.FAILED,
        gettext_noop("Worst is “%(slice)s”: %(metric)s %(value)s on %(count)s examples."),
        {
            "slice": worst["slice"],
            "metric": worst["metric"],
            "value": written(worst["value"]),
            "count": worst["count"],
        },
        {
            "split": split,
            "slices": large[:10],
            "compared": len(large),
            "left_out": len(every) - len(large),
        },
    )


def _slices(report: Report) -> Iterator[dict[str, Any]]:
    """The slices of a report, and its labels, as {"slice", "metric", "value", "count"}."""
    for row in report.get("slices") or []:
        value = number(row, "score")
        if value is not None:
            name = f"{row['column']} {row['value']}"
            yield _slice(name, row["metric"], share(row["metric"], value), row["count"])
    for label, row in (report.get("per_label") or {}).items():
        value = number(row, "f1")
        if value is not None:
            yield _slice(str(label), "F1", value, row.get("support"))


def _slice(name: str, metric: str, value: float, count: Any) -> dict[str, Any]:
    return {"slice": name, "metric": metric, "value": value, "count": int(count or 0)}


CHECK = Check(
    key="worst-slice",
    title=gettext_noop("Worst slice"),
    asks=gettext_noop(
        "No label or slice of at least %(fewest_examples)s examples is below %(smallest_figure)s."
    ),
    judge=judge,
    limits=(LEAST, EXAMPLES),
    needs=needs_own,
)
