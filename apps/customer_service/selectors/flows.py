"""Reading flows, their versions and runs, business actions and their calls."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import Http404
from django.utils import timezone

from apps.customer_service.models import ActionCall, BusinessAction, Flow, FlowRun, FlowVersion

__all__ = [
    "action_get",
    "actions",
    "call_get",
    "calls",
    "flow_get",
    "flow_running",
    "flow_runs",
    "flows",
    "flows_calling",
    "version_get",
]

# What the list of flows counts.
COUNTED = timedelta(days=7)


def flows() -> QuerySet[Flow]:
    """All flows by name, each with `runs_begun` and `runs_done` of the last 7 days."""
    recent = Q(versions__runs__created_at__gte=timezone.now() - COUNTED)
    done = recent & Q(versions__runs__state=FlowRun.State.DONE)
    return (
        Flow.objects.select_related("live")
        .annotate(
            runs_begun=Count("versions__runs", filter=recent, distinct=True),
            runs_done=Count("versions__runs", filter=done, distinct=True),
        )
        .order_by("name", "id")
    )


def flow_get(flow_id: uuid.UUID) -> Flow:
    """One flow.

    Raises:
        Http404: there is none.
    """
    flow = Flow.objects.select_related("live").filter(pk=flow_id).first()
    if flow is None:
        raise Http404("no such flow")
    return flow


def version_get(flow: Flow, number: int | None = None) -> FlowVersion:
    """One version of a flow, without a number the newest.

    Raises:
        Http404: there is none.
    """
    rows = flow.versions.order_by("-number")
    version = (rows if number is None else rows.filter(number=number)).first()
    if version is None:
        raise Http404("no such version")
    return version


def flow_runs(flow: Flow) -> QuerySet[FlowRun]:
    """Who went through a flow, the newest first."""
    rows = FlowRun.objects.filter(version__flow=flow)
    return rows.select_related("version", "conversation__visitor").order_by("-id")


def flow_running(conversation_id: uuid.UUID) -> FlowRun | None:
    """The run in which a conversation is."""
    rows = FlowRun.objects.select_related("version__flow")
    return rows.filter(conversation_id=conversation_id, state=FlowRun.State.RUNNING).first()


def flows_calling(action: str) -> list[Flow]:
    """The flows whose live version calls an action."""
    step: dict[str, Any] = {"kind": "call", "action": action}
    return list(Flow.objects.filter(live__definition__contains={"steps": [step]}).order_by("name"))


def actions() -> QuerySet[BusinessAction]:
    """All business actions by name."""
    return BusinessAction.objects.order_by("name", "id")


def action_get(action_id: uuid.UUID) -> BusinessAction:
    """One business action.

    Raises:
        Http404: there is none.
    """
    action = BusinessAction.objects.filter(pk=action_id).first()
    if action is None:
        raise Http404("no such action")
    return action


def calls(*, action: BusinessAction | None = None, state: str = "") -> QuerySet[ActionCall]:
    """Calls of business actions, the newest first."""
    rows = ActionCall.objects.select_related("action", "run__version__flow").order_by("-id")
    if action is not None:
        rows = rows.filter(action=action)
    return rows.filter(state=state) if state else rows


def call_get(call_id: uuid.UUID) -> ActionCall:
    """One call.

    Raises:
        Http404: there is none.
    """
    call = calls().filter(pk=call_id).first()
    if call is None:
        raise Http404("no such call")
    return call
