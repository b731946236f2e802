"""The service's numbers on the Overview, what waits for a person, and the first step."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.customer_service.models import Conversation, Message, UnansweredCluster
from apps.customer_service.selectors.inbox import inbox_counts
from apps.customer_service.selectors.insights import InsightQuery, insight_figures, relative_change
from rootstock.web.overview import Attention, Number
from rootstock.web.timerange import time_range

Status = Conversation.Status
# More lines than this would hide what else wants somebody.
LINES = 5


def numbers(request: HttpRequest) -> list[Number]:
    """Waiting conversations, what the assistant settled alone, and how customers rate it."""
    day = time_range(request)
    now = insight_figures(InsightQuery(day.start, day.end))
    before = insight_figures(InsightQuery(day.before.start, day.before.end))
    inbox, insights = reverse("service:inbox"), reverse("service:insights")
    contained = now["containment"]
    return [
        Number(
            _("Waiting"), inbox_counts(None)["waiting"], _("now"), url=f"{inbox}?status=waiting"
        ),
        Number(
            _("Settled by the assistant"),
            None if contained is None else round(100 * contained),
            day.label,
            unit="%",
            change=relative_change(contained, before["containment"]),
            rise_is="good",
            url=insights,
        ),
        Number(
            _("Rating"),
            now["csat"],
            day.label,
            unit="/ 5",
            change=relative_change(now["csat"], before["csat"]),
            rise_is="good",
            url=insights,
        ),
    ]


def attention(request: HttpRequest) -> list[Attention]:
    """Customers whom nobody answered in time, the longest overdue first, and how many wait for somebody."""
    inbox = reverse("service:inbox")
    overdue = (
        Conversation.objects.filter(
            sla_missed_at__isnull=False, status__in=[Status.WAITING, Status.ASSIGNED]
        )
        .select_related("visitor", "assignee__user")
        .order_by("sla_due_at")
    )
    lines = [
        Attention(
            title=_("%(customer)s was not answered in time")
            % {"customer": row.visitor.name or _("A visitor")},
            detail=str(row.assignee.user) if row.assignee else _("Nobody has it"),
            url=f"{inbox}?status=all&c={row.pk}",
            tone="bad",
            at=row.sla_due_at,
        )
        for row in overdue[:LINES]
    ]
    waiting = Conversation.objects.filter(status=Status.WAITING, sla_missed_at__isnull=True)
    count = waiting.count()
    if count:
        title = ngettext(
            "One conversation waits for somebody", "%(n)d conversations wait for somebody", count
        )
        oldest = waiting.order_by("waiting_since").values_list("waiting_since", flat=True).first()
        lines.append(
            Attention(title=title % {"n": count}, url=f"{inbox}?status=waiting", at=oldest)
        )
    return lines


def waiting_count(request: HttpRequest) -> int | None:
    """The badge beside "Inbox": what is mine or waits; nothing when there is none."""
    counts = inbox_counts(getattr(request, "membership", None))
    return counts["waiting"] + counts["mine"] or None


def unanswered_count(request: HttpRequest) -> int | None:
    """The badge beside "Unanswered": clusters that wait for an answer; nothing when there is none."""
    open_ones = UnansweredCluster.objects.filter(state=UnansweredCluster.State.OPEN)
    return open_ones.count() or None


def has_answered(request: HttpRequest) -> bool:
    """Whether a person has answered a customer."""
    return Message.objects.filter(author=Message.Author.AGENT).exists()
