"""What a notification says: the numbers, the stories, the rule, who judged, and where to go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.finance_sentiment.models import Alert, DailyReport, Notification
from apps.finance_sentiment.reporting import report_address
from apps.finance_sentiment.selectors.alerts import alert_payload, subject_label

STORIES = 3
ALERTS = 20


@dataclass(frozen=True, slots=True)
class Text:
    """A subject line and a body of plain text."""

    subject: str
    body: str


def notification_text(reason: str, alerts: Sequence[Alert], *, zone: ZoneInfo) -> Text:
    """The text of a notification in the current language; times are shown in `zone`."""
    if reason == Notification.Reason.TEST:
        return Text(
            _("Test of Rootstock's alerts"),
            _("This channel works. Alerts that are sent here look like this message."),
        )
    parts = [_alert_text(alert, zone) for alert in alerts[:ALERTS]]
    if len(alerts) > ALERTS:
        more = len(alerts) - ALERTS
        parts.append(ngettext("and %(n)d more alert", "and %(n)d more alerts", more) % {"n": more})
    return Text(_subject(reason, alerts), "\n\n".join(parts))


def alert_address(alert: Alert) -> str:
    """Where the alert is looked at."""
    return settings.ROOTSTOCK_URL.rstrip("/") + reverse("finance:alert", args=[alert.pk])


def webhook_data(reason: str, alerts: Sequence[Alert]) -> dict[str, Any]:
    """What a program is sent: every fact of the alerts that pages and the API show."""
    return {
        "reason": reason,
        "alerts": [
            {**alert_payload(alert), "url": alert_address(alert)} for alert in alerts[:ALERTS]
        ],
        "total": len(alerts),
    }


def report_data(report: DailyReport) -> dict[str, Any]:
    """What a program is sent of a report: its figures, and where the whole of it is read."""
    return {
        "reason": Notification.Reason.REPORT.value,
        "report": {
            "id": str(report.pk),
            "day": report.day.isoformat(),
            "starts_at": report.starts_at.isoformat(),
            "ends_at": report.ends_at.isoformat(),
            "summary": report.content.get("summary", {}),
            "url": report_address(report),
        },
    }


def _subject(reason: str, alerts: Sequence[Alert]) -> str:
    # A line break in a subject would be one in a header.
    names = ", ".join(" ".join(subject_label(alert.subject).split()) for alert in alerts[:3])
    if len(alerts) > 3:
        names += " …"
    words = {
        Notification.Reason.RESOLVED: _("Over: %(subjects)s"),
        Notification.Reason.ASSIGNED: _("Assigned to you: %(subjects)s"),
    }
    text = words.get(Notification.Reason(reason), _("Alert: %(subjects)s"))
    return (text % {"subjects": names})[:300]


def _alert_text(alert: Alert, zone: ZoneInfo) -> str:
    latest = alert.evidence.get("latest", {})
    began = date_format(timezone.localtime(alert.opened_at, zone), "SHORT_DATETIME_FORMAT")
    lines = [
        f"{subject_label(alert.subject)} · {alert.get_state_display()}",
        _("Since %(time)s (%(zone)s)") % {"time": began, "zone": zone.key},
    ]
    if latest:
        lines.append(
            _(
                "%(observed)s negative stories in the latest window, %(expected)s expected; "
                "%(share)d %% of all, %(usual)d %% is usual; score %(score)s at its peak"
            )
            % {
                "observed": latest.get("observed", 0),
                "expected": round(float(latest.get("expected") or 0), 1),
                "share": round(100 * float(latest.get("share") or 0)),
                "usual": round(100 * float(latest.get("baseline_share") or 0)),
                "score": round(alert.peak_score, 1),
            }
        )
    if alert.rule_name:
        lines.append(_("Rule: %(rule)s") % {"rule": alert.rule_name})
    lines += [
        f"- {story['title'][:200]} ({', '.join(story['sources'][:3])})"
        for story in alert.evidence.get("stories", [])[:STORIES]
    ]
    if models := alert.evidence.get("models"):
        lines.append(_("Judged by %(models)s") % {"models": ", ".join(models)})
    lines.append(alert_address(alert))
    return "\n".join(lines)
