"""What is done every minute for the deployments of an organisation."""

from __future__ import annotations

from collections.abc import Iterable

from rootstock.modelhub.selectors import deployment_list
from rootstock.modelhub.services.alarms import alarms_evaluate
from rootstock.modelhub.services.canaries import canary_guard
from rootstock.modelhub.services.drift import DriftDone, drift_store
from rootstock.modelhub.services.traffic import traffic_compact

MONITOR_TOPIC = "modelhub.monitor"


def monitoring_look(*, judged: Iterable[DriftDone] = ()) -> None:
    """Add up traffic, keep the verdicts on drift, guard canaries, open and close alarms."""
    traffic_compact()
    for done in judged:
        drift_store(done=done)
    for deployment in deployment_list():
        if deployment.canary_id is not None:
            canary_guard(deployment=deployment)
        alarms_evaluate(deployment=deployment)
