"""REST: data sets, their examples, imports and snapshots."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    ApiView,
    check_if_match,
    page_of,
    paginate,
    respond,
    valid,
)
from rootstock.common.problems import Problem
from rootstock.modelhub import selectors, services
from rootstock.modelhub.api import serializers
from rootstock.modelhub.models import Dataset, DatasetExample, Snapshot
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest

MAX_UPLOAD_BYTES = 64 * 2**20


def found(row: Any) -> Any:
    """The row, or 404 for None."""
    if row is None:
        raise Http404
    return row


class ModelsView(ApiView):
    """What all views of this part have in common."""

    permission = Permission.MODELS_READ
    write_permission = Permission.MODELS_WRITE


class DatasetList(ModelsView):
    """The data sets."""

    @extend_schema(
        operation_id="datasets_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.DatasetOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the data sets, the newest first."""
        return paginate(self, request, selectors.dataset_list(), serializers.DatasetOutput)

    @extend_schema(
        operation_id="datasets_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.DatasetInput,
        responses={201: serializers.DatasetDetailOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Make an empty data set; 409 when the name is taken."""
        data = valid(serializers.DatasetInput(data=request.data))
        dataset = services.dataset_create(actor=request.actor, **data)
        return respond(dataset, serializers.DatasetDetailOutput(dataset).data, status=201)


class DatasetView(ModelsView):
    """One data set."""

    def dataset(self, dataset_id: uuid.UUID, *, lock: bool = False) -> Dataset:
        """The data set, or 404."""
        rows = selectors.dataset_list()
        rows = rows.select_for_update() if lock else rows
        dataset: Dataset = found(rows.filter(pk=dataset_id).first())
        return dataset

    @extend_schema(operation_id="datasets_read", responses=serializers.DatasetDetailOutput)
    def get(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """Read a data set with the distribution of its labels."""
        dataset = self.dataset(dataset_id)
        return respond(dataset, serializers.DatasetDetailOutput(dataset).data)

    @extend_schema(
        operation_id="datasets_change",
        parameters=[IF_MATCH],
        request=serializers.DatasetChange,
        responses=serializers.DatasetDetailOutput,
    )
    def patch(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """Change what is given."""
        data = valid(serializers.DatasetChange(data=request.data))
        dataset = self.dataset(dataset_id, lock=True)
        check_if_match(request, dataset)
        dataset = services.dataset_update(dataset=dataset, actor=request.actor, **data)
        return respond(dataset, serializers.DatasetDetailOutput(dataset).data)

    @extend_schema(operation_id="datasets_delete", parameters=[IF_MATCH], responses={204: None})
    def delete(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """Delete a data set with its examples; 409 when a run or version was made from it."""
        dataset = self.dataset(dataset_id, lock=True)
        check_if_match(request, dataset)
        services.dataset_delete(dataset=dataset, actor=request.actor)
        return Response(status=204)


class ExampleList(DatasetView):
    """The examples of a data set."""

    http_method_names = ["get", "post"]

    @extend_schema(
        operation_id="examples_list",
        parameters=[serializers.ExampleQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.ExampleOutput),
    )
    def get(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """List the examples, the newest first."""
        query = valid(serializers.ExampleQuery(data=request.query_params.dict()))
        rows = selectors.example_list(self.dataset(dataset_id), **query)
        return paginate(self, request, rows, serializers.ExampleOutput)

    @extend_schema(
        operation_id="examples_add",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.ExamplesInput,
        responses={200: serializers.AddResultOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """Add up to 1,000 examples, all or none. Texts that are there already are left as they are."""
        data = valid(serializers.ExamplesInput(data=request.data))
        result = services.examples_add(
            dataset=self.dataset(dataset_id),
            examples=[services.NewExample(**example) for example in data["examples"]],
            actor=request.actor,
            source="api",
        )
        return Response(serializers.AddResultOutput(result).data)


class ExampleView(ModelsView):
    """One example."""

    def example(self, dataset_id: uuid.UUID, example_id: uuid.UUID) -> DatasetExample:
        """The example, or 404."""
        example: DatasetExample = found(
            DatasetExample.objects.select_related("dataset")
            .filter(pk=example_id, dataset_id=dataset_id)
            .first()
        )
        return example

    def detail(self, example: DatasetExample) -> Response:
        """The example with the history of its answer."""
        example.history = example.label_changes.order_by("created_at", "id")  # type: ignore[attr-defined]
        return respond(example, serializers.ExampleDetailOutput(example).data)

    @extend_schema(operation_id="examples_read", responses=serializers.ExampleDetailOutput)
    def get(
        self, request: OrganisationRequest, dataset_id: uuid.UUID, example_id: uuid.UUID
    ) -> Response:
        """Read an example with the history of its label."""
        return self.detail(self.example(dataset_id, example_id))

    @extend_schema(
        operation_id="examples_relabel",
        parameters=[IF_MATCH],
        request=serializers.RelabelInput,
        responses=serializers.ExampleDetailOutput,
    )
    def patch(
        self, request: OrganisationRequest, dataset_id: uuid.UUID, example_id: uuid.UUID
    ) -> Response:
        """Give it another label or answer; the old one stays in its history."""
        data = valid(serializers.RelabelInput(data=request.data))
        example = self.example(dataset_id, example_id)
        check_if_match(request, example)
        change = services.example_answer if "answer" in data else services.example_relabel
        example = change(example=example, actor=request.actor, **data)
        return self.detail(example)

    @extend_schema(operation_id="examples_delete", parameters=[IF_MATCH], responses={204: None})
    def delete(
        self, request: OrganisationRequest, dataset_id: uuid.UUID, example_id: uuid.UUID
    ) -> Response:
        """Remove it; snapshots that hold it are not changed."""
        example = self.example(dataset_id, example_id)
        check_if_match(request, example)
        services.example_delete(example=example, actor=request.actor)
        return Response(status=204)


class Upload(DatasetView):
    """A file of examples."""

    http_method_names = ["post"]
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="examples_upload",
        request={"multipart/form-data": serializers.UploadInput},
        responses={200: serializers.ImportReportOutput},
    )
    def post(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """Import a CSV, JSONL or Parquet file of at most 64 MB: good rows are kept, bad rows are named by line."""
        data = valid(serializers.UploadInput(data=request.data))
        report = import_upload(
            self.dataset(dataset_id),
            data.pop("file"),
            actor=request.actor,
            **data,
        )
        return Response(serializers.ImportReportOutput(asdict(report)).data)


def import_upload(
    dataset: Dataset, upload: UploadedFile[Any], **options: Any
) -> services.ImportReport:
    """Put an uploaded file where the importer can read it, and import it.

    Raises:
        Problem: 413 when it is too large; what `dataset_import` raises.
    """
    if (upload.size or 0) > MAX_UPLOAD_BYTES:
        raise Problem(
            413,
            "too-large",
            "A file of at most 64 MB can be uploaded. Import larger ones with `manage.py import_examples`.",
        )
    with tempfile.NamedTemporaryFile(prefix="import-") as file:
        for chunk in upload.chunks():
            file.write(chunk)
        file.flush()
        return services.dataset_import(
            dataset=dataset, path=Path(file.name), file_name=upload.name or "", **options
        )


class SnapshotList(ModelsView):
    """The snapshots."""

    @extend_schema(
        operation_id="snapshots_list",
        parameters=[serializers.SnapshotQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.SnapshotOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the snapshots, the newest first."""
        query = valid(serializers.SnapshotQuery(data=request.query_params.dict()))
        rows = selectors.snapshot_list().filter(
            **{"dataset_id": query["dataset"]} if "dataset" in query else {}
        )
        return paginate(self, request, rows, serializers.SnapshotOutput)

    @extend_schema(
        operation_id="snapshots_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.SnapshotInput,
        responses={201: serializers.SnapshotOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Freeze and split a data set; unchanged data gives the snapshot that is already there."""
        data = valid(serializers.SnapshotInput(data=request.data))
        dataset = found(selectors.dataset_list().filter(pk=data.pop("dataset")).first())
        snapshot = services.snapshot_create(dataset=dataset, actor=request.actor, **data)
        return respond(snapshot, serializers.SnapshotOutput(snapshot).data, status=201)


class SnapshotView(ModelsView):
    """One snapshot."""

    @extend_schema(operation_id="snapshots_read", responses=serializers.SnapshotOutput)
    def get(self, request: OrganisationRequest, snapshot_id: uuid.UUID) -> Response:
        """Read a snapshot."""
        snapshot: Snapshot = found(selectors.snapshot_list().filter(pk=snapshot_id).first())
        return respond(snapshot, serializers.SnapshotOutput(snapshot).data)
