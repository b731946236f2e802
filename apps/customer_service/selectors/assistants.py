"""What the page of the assistant's settings shows beside the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from apps.customer_service.models import Assistant, Channel
from rootstock.gateway.selectors import connections
from rootstock.modelhub.models import Deployment, Task


def generator_names() -> list[str]:
    """Models that may write answers: deployments that write text, and what connections offer."""
    deployed = Deployment.objects.filter(task=Task.TEXT_GENERATION).order_by("name")
    names = list(deployed.values_list("name", flat=True))
    for connection in connections():
        names += [f"{connection.name}/{model}" for model in connection.offered]
    return names


def reranker_names() -> list[str]:
    """Deployed rerankers."""
    rows = Deployment.objects.filter(task=Task.RERANKING).order_by("name")
    return list(rows.values_list("name", flat=True))


def channels_apart() -> set[Channel]:
    """Channels whose assistant has settings of its own."""
    rows = Assistant.objects.exclude(channel=None).select_related("channel")
    return {row.channel for row in rows if row.channel is not None}


class TuningRow(NamedTuple):
    """A line of the table: what was, and what would be."""

    label: str
    before: str
    after: str


def tuning_rows(report: Mapping[str, Any]) -> list[TuningRow]:
    """What a tuning chose and measured, line by line."""
    weight, threshold = report["weight"], report["threshold"]
    before, after = report["ranking"]["before"], report["ranking"]["after"]
    direct = report["direct"]
    rows = [
        TuningRow(
            _("Share of meaning against words"),
            _percent(weight["before"]),
            _percent(weight["after"]),
        ),
        TuningRow(
            _("Right source found first"), _percent(before["recall@1"]), _percent(after["recall@1"])
        ),
        TuningRow(
            _("Right source among the first five"),
            _percent(before["recall@5"]),
            _percent(after["recall@5"]),
        ),
        TuningRow(_("Mean reciprocal rank"), f"{before['mrr@10']:.3f}", f"{after['mrr@10']:.3f}"),
        TuningRow(
            _("Prepared answers are given from this match on"),
            f"{threshold['before']:.2f}",
            f"{threshold['after']:.2f}",
        ),
    ]
    if direct["questions"]:
        said = {}
        for name in ("before", "after"):
            answered, right = direct[name]
            said[name] = _("%(right)s right, %(wrong)s wrong, of %(all)s") % {
                "right": right,
                "wrong": answered - right,
                "all": direct["questions"],
            }
        rows.append(TuningRow(_("Answered directly"), said["before"], said["after"]))
    return rows


def tuning_changes(report: Mapping[str, Any]) -> bool:
    """Whether it chose anything else than what is set."""
    return any(report[name]["before"] != report[name]["after"] for name in ("weight", "threshold"))


def tuning_sentence(report: Mapping[str, Any]) -> str:
    """What it comes to."""
    if not tuning_changes(report):
        return _("Your questions choose what is set already.")
    gain, low, high = report["ranking"]["gain"]
    values = {
        "points": f"{100 * abs(gain):.1f}",
        "low": f"{100 * low:+.1f}",
        "high": f"{100 * high:+.1f}",
    }
    if low > 0:
        return (
            _(
                "The right source is found better by %(points)s points (95 %% interval %(low)s to %(high)s)."
            )
            % values
        )
    if high < 0:
        return (
            _(
                "The right source is found worse by %(points)s points (95 %% interval %(low)s to %(high)s)."
            )
            % values
        )
    return (
        _(
            "Finding the right source does not change by more than chance (95 %% interval %(low)s to %(high)s points)."
        )
        % values
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
