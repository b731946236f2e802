"""The Models line of the Overview page, and its first step."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from rootstock.modelhub import selectors
from rootstock.modelhub.models import TrainingRun
from rootstock.modelhub.monitoring.rules import rule_get
from rootstock.modelhub.monitoring_selectors import alarm_list
from rootstock.web.overview import Attention, Number


def models_numbers(request: HttpRequest) -> list[Number]:
    """What serves, how much it is asked, and what trains."""
    deployments = list(selectors.deployment_list())
    asked = sum(selectors.deployment_activity(each).predictions for each in deployments)
    running = selectors.run_list(state=TrainingRun.State.RUNNING).count()
    return [
        Number(_("Deployments"), len(deployments), _("now"), url=reverse("modelhub:deployments")),
        Number(_("Predictions"), asked, _("last hour"), url=reverse("modelhub:deployments")),
        Number(_("In training"), running, _("now"), url=reverse("modelhub:runs")),
    ]


def trained_own_model(request: HttpRequest) -> bool:
    """Whether a person, and not the set-up, has trained a model."""
    return (
        TrainingRun.objects.filter(state=TrainingRun.State.SUCCEEDED)
        .exclude(actor_kind="system")
        .exists()
    )


def open_alarm_count(request: HttpRequest) -> int | None:
    """The badge beside "Monitoring"; nothing when there is none."""
    return alarm_list(is_open=True).count() or None


def alarm_attention(request: HttpRequest) -> list[Attention]:
    """Open alarms that nobody has acknowledged."""
    found = []
    for alarm in alarm_list(is_open=True).filter(acknowledged_at__isnull=True)[:20]:
        rule = rule_get(alarm.rule)
        if rule is not None:
            found.append(
                Attention(
                    title=f"{alarm.deployment.name}: {_(rule.title)}",
                    detail=rule.in_words(alarm.latest),
                    url=reverse("modelhub:monitor", args=[alarm.deployment.name]),
                    tone="bad",
                    at=alarm.opened_at,
                )
            )
    return found
