"""A stored report as HTML and as text, in one language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import formats, timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.finance_sentiment.drawing import Bar, Forecast, bars, line_and_band
from apps.finance_sentiment.models import DailyReport

LANGUAGES = tuple(code for code, _name in settings.LANGUAGES)


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report ready to be sent. `page` is a whole document that needs nothing from elsewhere."""

    subject: str
    text: str
    page: str


def report_context(report: DailyReport, *, zone: ZoneInfo) -> dict[str, Any]:
    """What the templates of a report show, in the current language; times are those of `zone`."""
    language = translation.get_language() or "en"
    content = report.content or {}
    summary = content.get("summary", {})
    return {
        "report": report,
        "language": language,
        "zone": zone.key,
        "starts_at": timezone.localtime(report.starts_at, zone),
        "ends_at": timezone.localtime(report.ends_at, zone),
        "base": settings.ROOTSTOCK_URL.rstrip("/"),
        "summary": summary,
        "sentence": _sentence(summary),
        "hours_chart": _hours_chart(content.get("hours", []), zone),
        "days_chart": _days_chart(content.get("days", [])),
        "forecast_chart": _forecast_chart(content.get("forecast"), zone),
        "backtest": (content.get("forecast") or {}).get("backtest"),
        "groups": [
            (title, _named(content.get(name, []), language))
            for title, name in (
                (_("Portfolios and watch-lists"), "portfolios"),
                (_("Topics out of the ordinary"), "topics"),
                (_("Entities out of the ordinary"), "entities"),
            )
        ],
        "alerts": _named([_timed(one, zone) for one in content.get("alerts", [])], language),
        "threads": content.get("threads", []),
        "models": content.get("models", []),
    }


def report_address(report: DailyReport) -> str:
    """Where it is read."""
    return settings.ROOTSTOCK_URL.rstrip("/") + reverse("finance:report", args=[report.pk])


def report_page(report: DailyReport, *, zone: ZoneInfo) -> str:
    """The report as a document of its own, with its styles in it."""
    context = {**report_context(report, zone=zone), "address": report_address(report)}
    # A worker has no time zone in force, and templates show times in the one that is.
    with timezone.override(zone):
        return render_to_string("finance_sentiment/reports/document.html", context)


def report_write(report: DailyReport, *, zone: ZoneInfo) -> WrittenReport:
    """The report as it is sent, in the current language."""
    day = formats.date_format(report.day, "DATE_FORMAT")
    context = report_context(report, zone=zone)
    lines = [context["sentence"], ""]
    for title, rows in context["groups"]:
        moved = [row for row in rows if row["stories"]]
        if moved:
            lines += [f"{title}:", *(f"- {_line(row)}" for row in moved), ""]
    if context["threads"]:
        lines.append(_("Most told:"))
        lines += [
            f"- {row['title'][:200]} ({_sources(row['sources'])})" for row in context["threads"][:5]
        ]
        lines.append("")
    lines.append(report_address(report))
    return WrittenReport(
        _("Public opinion on %(day)s") % {"day": day},
        "\n".join(lines),
        report_page(report, zone=zone),
    )


def _sentence(summary: dict[str, Any]) -> str:
    """What happened, in words."""
    stories, usual = summary.get("stories", 0), summary.get("usual_stories")
    text = ngettext("%(n)d story", "%(n)d stories", stories) % {"n": stories}
    share = round(100 * summary.get("share", 0.0))
    text = _("%(stories)s, %(share)d %% of them negative.") % {"stories": text, "share": share}
    if usual is not None:
        text += " " + _("Usual for these hours are %(stories)s, %(share)d %% negative.") % {
            "stories": round(usual),
            "share": round(100 * (summary.get("usual_share") or 0.0)),
        }
    opened = summary.get("alerts_opened", 0)
    if not opened:
        return text + " " + _("No alert was opened.")
    return (
        text
        + " "
        + ngettext("%(n)d alert was opened.", "%(n)d alerts were opened.", opened) % {"n": opened}
    )


def _line(row: dict[str, Any]) -> str:
    text = _("%(name)s: %(stories)d stories, %(negative)d negative") % {
        "name": row["name"],
        "stories": row["stories"],
        "negative": row["negative"],
    }
    if row["usual_stories"] is not None:
        text += _(" (usual: %(stories)g and %(negative)g)") % {
            "stories": row["usual_stories"],
            "negative": row["usual_negative"],
        }
    return text


def _sources(count: int) -> str:
    return ngettext("%(n)d source", "%(n)d sources", count) % {"n": count}


def _named(rows: list[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """Rows with their name in this language."""
    return [
        {
            **row,
            "name": row.get("name") or row["labels"].get(language) or row["labels"].get("en", ""),
        }
        for row in rows
    ]


def _timed(row: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    return {**row, "opened": _local(row["opened_at"], zone)}


def _local(moment: str, zone: ZoneInfo) -> datetime:
    return timezone.localtime(datetime.fromisoformat(moment), zone)


def _hours_chart(rows: list[list[Any]], zone: ZoneInfo) -> Any:
    shown = [Bar(f"{_local(at, zone):%m-%d %H:%M}", total, part) for at, total, part in rows]
    return bars(shown, title=_("Stories over the time of the report; the dark part is negative."))


def _days_chart(rows: list[list[Any]]) -> Any:
    shown = [Bar(day[5:], total, part) for day, total, part in rows]
    return bars(shown, title=_("Stories by the day; the dark part is negative."))


def _forecast_chart(told: dict[str, Any] | None, zone: ZoneInfo) -> Any:
    if not told:
        return None
    past = [(f"{_local(at, zone):%m-%d}", value) for at, value in told["past"]]
    ahead = [
        Forecast(one["day"][5:], one["middle"], one["low"], one["high"]) for one in told["ahead"]
    ]
    return line_and_band(
        past,
        ahead,
        title=_(
            "Negative stories by the day, and what is expected of the next days with its interval."
        ),
    )
