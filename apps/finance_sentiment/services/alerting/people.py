"""How people want to be told, and what quiet hours may be."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from django.utils.translation import gettext as _

from apps.finance_sentiment.models import NoticeSettings
from apps.finance_sentiment.models.alerting import QuietTimes
from rootstock.common.problems import invalid

QUIET_FIELDS = (
    "quiet_from",
    "quiet_until",
    "quiet_days",
    "time_zone",
    "urgent_score",
    "digest_minutes",
)
LONGEST_DIGEST = 24 * 60


def notices_set(*, user_id: uuid.UUID, values: Mapping[str, Any]) -> NoticeSettings:
    """Change how a person wants to be told.

    Raises:
        Problem: 422 that says what is wrong, and where.
    """
    row = NoticeSettings.objects.filter(user_id=user_id).first() or NoticeSettings(user_id=user_id)
    for field in ("by_email", *QUIET_FIELDS):
        if field in values:
            setattr(row, field, values[field])
    quiet_check(row)
    row.save()
    return row


def quiet_check(wish: QuietTimes) -> None:
    """Refuse quiet hours that cannot be meant.

    Raises:
        Problem: 422 that says what is wrong, and where.
    """
    if (wish.quiet_from is None) != (wish.quiet_until is None):
        raise invalid("/quiet_until", _("Quiet hours have a beginning and an end."))
    if wish.quiet_from is not None and wish.quiet_from == wish.quiet_until:
        raise invalid("/quiet_until", _("Quiet hours that end as they begin would never end."))
    if wish.time_zone and wish.time_zone not in available_timezones():
        raise invalid("/time_zone", _("Not a time zone, such as Asia/Shanghai."))
    if any(not 0 <= day <= 6 for day in wish.quiet_days):
        raise invalid("/quiet_days", _("Weekdays are numbers from 0, Monday, to 6, Sunday."))
    wish.quiet_days = sorted(set(wish.quiet_days))
    if not 0 <= wish.digest_minutes <= LONGEST_DIGEST:
        raise invalid("/digest_minutes", _("A digest goes at least once a day."))
    if wish.urgent_score is not None and not 0 <= wish.urgent_score <= 1e6:
        raise invalid("/urgent_score", _("A score is a number from 0 to 1,000,000."))
