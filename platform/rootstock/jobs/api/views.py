"""REST: long work, how far it is, and stopping it."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate, respond
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job, JobLine
from rootstock.jobs.selectors import job_get, job_lines, job_list, job_summary
from rootstock.jobs.services import job_cancel
from rootstock.tenancy.permissions import Permission

STATES = [*Job.State.values, "active"]


class JobOutput(serializers.Serializer[Job]):
    """A piece of long work; the stream `jobs` carries the same object."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(Job.State.values)
    fraction = serializers.FloatField(min_value=0, max_value=1, help_text="How much is done.")
    phase = serializers.CharField()
    message = serializers.CharField()
    eta_seconds = serializers.FloatField(
        allow_null=True, help_text="Time left, while it can be told."
    )
    error = serializers.CharField()
    result = serializers.JSONField(allow_null=True)
    attempt = serializers.IntegerField()
    cancel_requested = serializers.BooleanField()
    actor = serializers.CharField(help_text="Who started it.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: Job) -> dict[str, Any]:
        """As the stream `jobs` has it."""
        return job_summary(instance)


class JobLineOutput(serializers.ModelSerializer[JobLine]):
    """One line of a job's log."""

    class Meta:
        model = JobLine
        fields = ["id", "created_at", "text"]


class JobList(ApiView):
    """The jobs."""

    permission = Permission.JOBS_READ

    @extend_schema(
        operation_id="jobs_list",
        parameters=[
            OpenApiParameter("state", str, enum=STATES, description="`active`: queued or running."),
            OpenApiParameter("kind", str),
            *PAGE_PARAMETERS,
        ],
        responses=page_of(JobOutput),
    )
    def get(self, request: Request) -> Response:
        """List the jobs, the newest first."""
        state = request.query_params.get("state")
        if state is not None and state not in STATES:
            raise Problem(
                422,
                "invalid",
                f"state is one of {', '.join(STATES)}.",
                errors=[{"pointer": "/state", "detail": "not a state"}],
            )
        kind = request.query_params.get("kind", "").replace("\x00", "")
        return paginate(self, request, job_list(state=state, kind=kind or None), JobOutput)


class JobView(ApiView):
    """One job."""

    permission = Permission.JOBS_READ

    @extend_schema(operation_id="jobs_read", responses=JobOutput)
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """Read one job."""
        job = job_get(job_id)
        return respond(job, JobOutput(job).data)


class JobLog(ApiView):
    """What a job has said."""

    permission = Permission.JOBS_READ

    @extend_schema(
        operation_id="jobs_log", parameters=PAGE_PARAMETERS, responses=page_of(JobLineOutput)
    )
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """List the lines of a job's log, the oldest first."""
        return paginate(self, request, job_lines(job_get(job_id)), JobLineOutput, ordering="id")


class JobCancel(ApiView):
    """Stopping a job."""

    permission = Permission.JOBS_WRITE

    @extend_schema(operation_id="jobs_cancel", request=None, responses={202: JobOutput})
    def post(self, request: Request, job_id: uuid.UUID) -> Response:
        """Ask a job to stop: at once while it waits, at its next step while it runs; 409 when it has finished."""
        return Response(JobOutput(job_cancel(job_id)).data, status=202)
