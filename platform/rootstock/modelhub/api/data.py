"""REST: imports in the background, exports, sources, items and scores of data sets."""

from __future__ import annotations

import csv
import io
import tempfile
import uuid
from pathlib import Path

from django.http import FileResponse, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from rootstock.common.api import PAGE_PARAMETERS, page_of, paginate, respond, valid
from rootstock.common.problems import Problem
from rootstock.modelhub import data_selectors
from rootstock.modelhub import services as hub
from rootstock.modelhub.api import data_serializers as serializers
from rootstock.modelhub.api import serializers as shared
from rootstock.modelhub.api.datasets import DatasetView, ExampleView, ModelsView, found
from rootstock.modelhub.models import Dataset, DatasetImport, DatasetItem
from rootstock.modelhub.services.examples import uncertainties_set
from rootstock.modelhub.services.exports import dataset_export, items_export
from rootstock.modelhub.services.imports import import_refused, import_stage, import_start
from rootstock.modelhub.services.sources import source_pull
from rootstock.modelhub.sources import source_get
from rootstock.tenancy.requests import OrganisationRequest

MAX_IMPORT_BYTES = 2 * 2**30


class ImportList(DatasetView):
    """The imported files of a data set."""

    http_method_names = ["get", "post"]
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="imports_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.ImportOutput),
    )
    def get(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """List the imports, the newest first."""
        rows = DatasetImport.objects.filter(dataset=self.dataset(dataset_id)).order_by("-id")
        return paginate(self, request, rows, serializers.ImportOutput)

    @extend_schema(
        operation_id="imports_create",
        request={"multipart/form-data": serializers.ImportInput},
        responses={202: serializers.ImportOutput},
    )
    def post(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """Import a file of at most 2 GB in the background, in chunks; `job` tells how far it is."""
        data = valid(serializers.ImportInput(data=request.data))
        upload = data["file"]
        if (upload.size or 0) > MAX_IMPORT_BYTES:
            raise Problem(413, "too-large", "A file of at most 2 GB can be uploaded.")
        dataset = self.dataset(dataset_id)
        started = import_start(
            dataset=dataset,
            actor=request.actor,
            file_name=upload.name or "",
            kind=data["kind"],
            columns=data.get("columns"),
            staged=import_stage(upload.chunks(), upload.name or ""),
            in_background=True,
        )
        return respond(started, serializers.ImportOutput(started).data, status=202)


class ImportView(ModelsView):
    """One import."""

    http_method_names = ["get"]

    def started(self, import_id: uuid.UUID) -> DatasetImport:
        """The import, or 404."""
        started: DatasetImport = found(DatasetImport.objects.filter(pk=import_id).first())
        return started

    @extend_schema(operation_id="imports_read", responses=serializers.ImportOutput)
    def get(self, request: OrganisationRequest, import_id: uuid.UUID) -> Response:
        """Read what became of a file so far."""
        started = self.started(import_id)
        return respond(started, serializers.ImportOutput(started).data)


class ImportRefused(ImportView):
    """The rows that were left out."""

    @extend_schema(
        operation_id="imports_refused", responses={(200, "text/csv"): OpenApiTypes.BINARY}
    )
    def get(self, request: OrganisationRequest, import_id: uuid.UUID) -> HttpResponse:  # type: ignore[override]
        """Download all refused rows as CSV: line, column, what is wrong, the row."""
        return refused_file(self.started(import_id))


def refused_file(started: DatasetImport) -> HttpResponse:
    """The refused rows of an import as a CSV download."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["line", "column", "problem", "row"])
    for line, column, problem, row in import_refused(started):
        writer.writerow([line, *map(_harmless, (column, problem, row))])
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="refused-{started.pk}.csv"'
    return response


def _harmless(text: str) -> str:
    """A spreadsheet takes what begins so for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


class Export(DatasetView):
    """The data set as a file."""

    http_method_names = ["get"]

    @extend_schema(
        operation_id="datasets_export",
        parameters=[serializers.ExportQuery],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> FileResponse:  # type: ignore[override]
        """Download all rows in a format that can be imported again."""
        query = valid(serializers.ExportQuery(data=request.query_params.dict()))
        return export_file(self.dataset(dataset_id), query["format"])


def export_file(dataset: Dataset, kind: str) -> FileResponse:
    """The rows of a data set as a download; "items" are the item texts."""
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        path = Path(folder) / f"rows.{'jsonl' if kind == 'items' else kind}"
        if kind == "items":
            items_export(dataset=dataset, path=path)
        else:
            dataset_export(dataset=dataset, path=path)
        # The open file outlives its name: nothing is left behind when the download breaks off.
        file = path.open("rb")
    name = "".join(c if c.isalnum() else "-" for c in dataset.name).strip("-") or "rows"
    ending = "items.jsonl" if kind == "items" else kind
    return FileResponse(file, as_attachment=True, filename=f"{name}.{ending}")


class ItemList(DatasetView):
    """The item texts of a next-item data set."""

    http_method_names = ["get"]

    @extend_schema(
        operation_id="items_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.ItemOutput),
    )
    def get(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """List the item texts, the newest first; they are imported as a file of kind "items"."""
        rows = DatasetItem.objects.filter(dataset=self.dataset(dataset_id)).order_by("-id")
        return paginate(self, request, rows, serializers.ItemOutput)


class SourceList(DatasetView):
    """What applications offer."""

    http_method_names = ["get"]

    @extend_schema(operation_id="sources_list", responses=serializers.SourceOutput(many=True))
    def get(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """List the sources of rows for this data set that the caller may read."""
        rows = data_selectors.source_list(self.dataset(dataset_id), request.granted)
        return Response(serializers.SourceOutput(rows, many=True).data)


class SourcePull(DatasetView):
    """Take the rows of an application."""

    http_method_names = ["post"]

    @extend_schema(operation_id="sources_pull", request=None, responses=serializers.PullOutput)
    def post(self, request: OrganisationRequest, dataset_id: uuid.UUID, key: str) -> Response:
        """Add the rows that are new since the last pull, at most 100,000."""
        dataset = self.dataset(dataset_id)
        source = source_get(key)
        if source is None or source.permission not in request.granted:
            source = found(None)
        result = source_pull(dataset=dataset, source=source, actor=request.actor)
        return Response(serializers.PullOutput(result).data)


class Uncertainties(DatasetView):
    """How unsure a model is."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="examples_uncertainties",
        request=serializers.UncertaintiesInput,
        responses=serializers.UncertaintiesOutput,
    )
    def post(self, request: OrganisationRequest, dataset_id: uuid.UUID) -> Response:
        """Store how unsure a model is about examples; annotation queues can ask about the highest first."""
        data = valid(serializers.UncertaintiesInput(data=request.data))
        changed = uncertainties_set(dataset=self.dataset(dataset_id), scores=data["scores"])
        return Response({"changed": changed})


class ExampleUndo(ExampleView):
    """Second thoughts."""

    http_method_names = ["post"]

    @extend_schema(operation_id="examples_undo", request=None, responses=shared.ExampleDetailOutput)
    def post(
        self, request: OrganisationRequest, dataset_id: uuid.UUID, example_id: uuid.UUID
    ) -> Response:
        """Take the last change of its answer back; 409 when there is none."""
        example = self.example(dataset_id, example_id)
        example = hub.label_undo(example=example, actor=request.actor)
        return self.detail(example)
