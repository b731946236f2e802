"""REST: options of training, runs, searches, files for them, comparisons and what to label next."""

from __future__ import annotations

import uuid

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from rootstock.common.api import PAGE_PARAMETERS, page_of, paginate, respond, valid
from rootstock.jobs.api.views import JobOutput
from rootstock.modelhub import comparing, differing, selectors, services
from rootstock.modelhub.api import training_serializers as serializers
from rootstock.modelhub.api.datasets import ModelsView, found
from rootstock.modelhub.errors import Conflict
from rootstock.modelhub.models import Comparison, TrainingFile, TrainingRun
from rootstock.modelhub.reporting import tensorboard_zip
from rootstock.modelhub.selecting import selection_start
from rootstock.modelhub.services.comparisons import comparison_start
from rootstock.modelhub.training_settings import settable_options
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.requests import OrganisationRequest


class OptionList(ModelsView):
    """What can be set of a training."""

    http_method_names = ["get"]

    @extend_schema(
        operation_id="training_options",
        parameters=[serializers.OptionQuery],
        responses=serializers.OptionOutput(many=True),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the options of training, all or those of one task, in the order in which people read them."""
        query = valid(serializers.OptionQuery(data=request.query_params.dict()))
        options = settable_options(query.get("task"), offered=True)
        return Response(serializers.OptionOutput(options, many=True).data)


class RunList(ModelsView):
    """The training runs."""

    @extend_schema(
        operation_id="runs_list",
        parameters=[serializers.RunQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.RunOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the training runs, the newest first."""
        query = valid(serializers.RunQuery(data=request.query_params.dict()))
        return paginate(self, request, selectors.run_list(**query), serializers.RunOutput)

    @extend_schema(
        operation_id="runs_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.RunInput,
        responses={201: serializers.RunDetailOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Start a training run on a snapshot; it becomes the next version of `name`."""
        data = valid(serializers.RunInput(data=request.data))
        snapshot = found(selectors.snapshot_list().filter(pk=data["snapshot"]).first())
        parent = None
        if data["parent"] is not None:
            parent = found(selectors.version_list().filter(pk=data["parent"]).first())
        run = services.training_start(
            snapshot=snapshot,
            name=data["name"],
            config=data.get("config"),
            parent=parent,
            goes_on=data["goes_on"],
            space=data["space"],
            trials=data["trials"],
            actor=request.actor,
        )
        return respond(run, serializers.RunDetailOutput(run).data, status=201)


class Together(ModelsView):
    """Several models on one encoder."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="together_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.TogetherInput,
        responses={201: serializers.TogetherOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Train several models on one encoder, which serving then computes once for all of them; a run for each."""
        data = valid(serializers.TogetherInput(data=request.data))
        parent = None
        if data["parent"] is not None:
            parent = found(selectors.version_list().filter(pk=data["parent"]).first())
        runs = services.together_start(
            heads=[
                services.Head(
                    found(selectors.snapshot_list().filter(pk=head["snapshot"]).first()),
                    head["name"],
                    head.get("config") or {},
                )
                for head in data["heads"]
            ],
            config=data.get("config"),
            parent=parent,
            actor=request.actor,
        )
        started = {"together": runs[0].together, "runs": runs}
        return Response(serializers.TogetherOutput(started).data, status=201)


class RunView(ModelsView):
    """One training run."""

    def run(self, run_id: uuid.UUID) -> TrainingRun:
        """The run, or 404."""
        run: TrainingRun = found(selectors.run_list().filter(pk=run_id).first())
        return run

    @extend_schema(operation_id="runs_read", responses=serializers.RunDetailOutput)
    def get(self, request: OrganisationRequest, run_id: uuid.UUID) -> Response:
        """Read a run with its curve and the end of its log."""
        run = self.run(run_id)
        return respond(run, serializers.RunDetailOutput(run).data)


class RunCancel(RunView):
    """The end of a run before its time."""

    http_method_names = ["post"]

    @extend_schema(operation_id="runs_cancel", request=None, responses={202: serializers.RunOutput})
    def post(self, request: OrganisationRequest, run_id: uuid.UUID) -> Response:
        """Ask a run to stop: a queued one ends at once, a running one within seconds; 409 when it has ended."""
        services.training_cancel(run=self.run(run_id), actor=request.actor)
        run = self.run(run_id)
        return respond(run, serializers.RunOutput(run).data, status=202)


class RunResume(RunView):
    """A run that stopped, gone on with."""

    http_method_names = ["post"]

    @extend_schema(operation_id="runs_resume", request=None, responses={202: serializers.RunOutput})
    def post(self, request: OrganisationRequest, run_id: uuid.UUID) -> Response:
        """Go on with a run that failed or was stopped, from its last checkpoint; 409 when it did neither."""
        services.training_resume(run=self.run(run_id), actor=request.actor)
        run = self.run(run_id)
        return respond(run, serializers.RunOutput(run).data, status=202)


class RunTensorboard(RunView):
    """The TensorBoard files of a run."""

    http_method_names = ["get"]

    @extend_schema(
        operation_id="runs_tensorboard", responses={(200, "application/zip"): OpenApiTypes.BINARY}
    )
    def get(self, request: OrganisationRequest, run_id: uuid.UUID) -> FileResponse:  # type: ignore[override]
        """Download the TensorBoard files of a run with `reporting: [tensorboard]`; 404 when there are none."""
        return tensorboard_zip(self.run(run_id))


class TrainingFileList(ModelsView):
    """Files that runs may name."""

    http_method_names = ["get", "post"]
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="training_files_list",
        parameters=[serializers.TrainingFileQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.TrainingFileOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the uploaded files, the newest first."""
        query = valid(serializers.TrainingFileQuery(data=request.query_params.dict()))
        rows = TrainingFile.objects.filter(**query).order_by("-id")
        return paginate(self, request, rows, serializers.TrainingFileOutput)

    @extend_schema(
        operation_id="training_files_create",
        request={"multipart/form-data": serializers.TrainingFileInput},
        responses={201: serializers.TrainingFileOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Upload rules, known names, synonyms, label descriptions or texts, at most 64 MB; it is read at once."""
        data = valid(serializers.TrainingFileInput(data=request.data))
        file = services.training_file_create(
            option=data["option"],
            name=data["file"].name or "",
            chunks=data["file"].chunks(),
            actor=request.actor,
        )
        return respond(file, serializers.TrainingFileOutput(file).data, status=201)


class TrainingFileView(ModelsView):
    """One of them."""

    http_method_names = ["get", "delete"]

    def file(self, file_id: uuid.UUID) -> TrainingFile:
        """The file, or 404."""
        file: TrainingFile = found(TrainingFile.objects.filter(pk=file_id).first())
        return file

    @extend_schema(operation_id="training_files_read", responses=serializers.TrainingFileOutput)
    def get(self, request: OrganisationRequest, training_file_id: uuid.UUID) -> Response:
        """Read what is known of a file."""
        file = self.file(training_file_id)
        return respond(file, serializers.TrainingFileOutput(file).data)

    @extend_schema(operation_id="training_files_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, training_file_id: uuid.UUID) -> Response:
        """Delete a file; 409 while a run that has not ended names it."""
        services.training_file_delete(file=self.file(training_file_id), actor=request.actor)
        return Response(status=204)


class Compare(ModelsView):
    """Runs and versions side by side."""

    http_method_names = ["get"]

    @extend_schema(
        operation_id="compare",
        parameters=[serializers.CompareQuery],
        responses=serializers.CompareOutput,
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Put two to six runs or versions side by side: options, figures with intervals, curves, labels."""
        query = valid(serializers.CompareQuery(data={"item": request.query_params.getlist("item")}))
        items = comparing.items_of(query["item"])
        return Response(comparing.side_by_side(items))


class CompareRows(ModelsView):
    """Where two versions differ, row by row."""

    http_method_names = ["get"]

    @extend_schema(
        operation_id="compare_rows",
        parameters=[serializers.CompareRowsQuery],
        responses=serializers.CompareRowsOutput,
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the rows that two versions answer differently, the surest mistakes first; 409 when no answers of both
        to the same rows are kept."""
        query = valid(serializers.CompareRowsQuery(data=request.query_params.dict()))
        versions = [
            found(selectors.version_list().filter(pk=query[name]).first())
            for name in ("first", "second")
        ]
        snapshot = None
        if query["snapshot"] is not None:
            snapshot = found(selectors.snapshot_list().filter(pk=query["snapshot"]).first())
        try:
            pair = differing.sheet_pair(
                versions[0], versions[1], snapshot=snapshot, split=query["split"]
            )
            rows = differing.Differing(*pair, only=query["only"])
        except differing.NotComparable as problem:
            raise Conflict("no-answers", str(problem)) from problem
        begin = query["offset"]
        shown = {
            "snapshot": pair[0].snapshot_id,
            "split": pair[0].split,
            "rows": rows.rows,
            "count": len(rows),
            "results": rows[begin : begin + query["limit"]],
        }
        return Response(serializers.CompareRowsOutput(shown).data)


class ComparisonList(ModelsView):
    """Versions compared on the same rows."""

    @extend_schema(
        operation_id="comparisons_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.ComparisonOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List what has been compared, the newest first."""
        return paginate(
            self, request, Comparison.objects.order_by("-id"), serializers.ComparisonOutput
        )

    @extend_schema(
        operation_id="comparisons_start",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.ComparisonInput,
        responses={202: JobOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Let two versions answer the same rows and test their difference by paired bootstrap; answers with the job."""
        data = valid(serializers.ComparisonInput(data=request.data))
        versions = [
            found(selectors.version_list().filter(pk=data[name]).first())
            for name in ("first", "second")
        ]
        snapshot = None
        if data["snapshot"] is not None:
            snapshot = found(selectors.snapshot_list().filter(pk=data["snapshot"]).first())
        job = comparison_start(
            first=versions[0],
            second=versions[1],
            snapshot=snapshot,
            split=data["split"],
            actor=request.actor,
        )
        return Response(JobOutput(job).data, status=202)


class VersionSelect(ModelsView):
    """Active learning."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="versions_select",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.SelectInput,
        responses={202: JobOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """Find the unlabelled texts that would teach this version most; queues ask for them first."""
        version = found(selectors.version_list().filter(pk=version_id).first())
        data = valid(serializers.SelectInput(data=request.data))
        dataset = found(selectors.dataset_list().filter(pk=data["dataset"]).first())
        job = selection_start(
            version=version,
            dataset=dataset,
            count=data["count"],
            strategy=data["strategy"],
            actor=request.actor,
        )
        return Response(JobOutput(job).data, status=202)
