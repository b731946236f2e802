"""Django's description of this app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "rootstock.jobs"
    label = "jobs"

    def ready(self) -> None:
        """The stream of jobs, the numbers of jobs, and jobs that will never start."""
        from rootstock.common.metrics import register_gauge
        from rootstock.jobs import services
        from rootstock.outbox.handlers import on_dead_letter
        from rootstock.realtime import streams
        from rootstock.tenancy.permissions import Permission
        from rootstock.tenancy.rls import call_lookup

        streams.register(services.STREAM, permission=Permission.JOBS_READ)

        def dead(topic: str, payload: dict[str, Any], error: str) -> None:
            if topic == services.TOPIC:
                services.job_fail_unstarted(payload["job_id"], error)

        def count() -> dict[str, float]:
            return {row["state"]: float(row["jobs"]) for row in call_lookup("jobs_count")}

        on_dead_letter(dead)
        register_gauge("rootstock_jobs", "Unfinished jobs by state", count, label="state")
