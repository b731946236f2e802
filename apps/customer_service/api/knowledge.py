"""REST of the knowledge: sources, documents, passages."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from apps.customer_service.api import knowledge_serializers as serializers
from apps.customer_service.selectors import knowledge as selectors
from apps.customer_service.services import sources
from apps.customer_service.services.documents import document_retry, passage_hide
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
from rootstock.jobs.api.views import JobOutput
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class KnowledgeView(ApiView):
    """Seen by all who see the service, changed by whoever sets it up."""

    permission = Permission.SERVICE_READ
    write_permission = Permission.SERVICE_WRITE


class SourcesView(KnowledgeView):
    """Where knowledge comes from."""

    @extend_schema(
        operation_id="service_sources_list",
        parameters=[serializers.KnowledgeSourceQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.KnowledgeSourceOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the sources, the newest first."""
        query = valid(serializers.KnowledgeSourceQuery(data=request.query_params.dict()))
        return paginate(
            self, request, selectors.sources_find(**query), serializers.KnowledgeSourceOutput
        )

    @extend_schema(
        operation_id="service_sources_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.KnowledgeSourceInput,
        responses={201: serializers.KnowledgeSourceOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Add a page, a site or a text to the draft; it is read at once. Upload files at `documents`."""
        data = valid(serializers.KnowledgeSourceInput(data=request.data))
        kind = data.pop("kind")
        if kind == "text":
            source = sources.text_add(actor=request.actor, **data).source
        else:
            source = sources.web_add(kind=kind, actor=request.actor, **data)
        return respond(source, serializers.KnowledgeSourceOutput(source).data, status=201)


class SourceView(KnowledgeView):
    """One source."""

    @extend_schema(operation_id="service_sources_read", responses=serializers.KnowledgeSourceOutput)
    def get(self, request: OrganisationRequest, source_id: uuid.UUID) -> Response:
        """Read how a source stands."""
        source = selectors.source_get(source_id)
        return respond(source, serializers.KnowledgeSourceOutput(source).data)

    @extend_schema(
        operation_id="service_sources_change",
        parameters=[IF_MATCH],
        request=serializers.KnowledgeSourceChange,
        responses=serializers.KnowledgeSourceOutput,
    )
    def patch(self, request: OrganisationRequest, source_id: uuid.UUID) -> Response:
        """Change it. For whom it is and when it expires holds at once, for visitors too."""
        source = selectors.source_get(source_id)
        check_if_match(request, source)
        data = valid(serializers.KnowledgeSourceChange(data=request.data))
        source = sources.source_update(source=source, values=data, actor=request.actor)
        return respond(source, serializers.KnowledgeSourceOutput(source).data)

    @extend_schema(
        operation_id="service_sources_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, source_id: uuid.UUID) -> Response:
        """Take it out of the draft and of what visitors are answered from, at once; it can be restored."""
        source = selectors.source_get(source_id)
        check_if_match(request, source)
        sources.source_remove(source=source, actor=request.actor)
        return Response(status=204)


class SourceRestoreView(KnowledgeView):
    """Bringing a source back."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="service_sources_restore",
        request=None,
        responses=serializers.KnowledgeSourceOutput,
    )
    def post(self, request: OrganisationRequest, source_id: uuid.UUID) -> Response:
        """Bring a removed source back."""
        sources.source_restore(source=selectors.source_get(source_id), actor=request.actor)
        source = selectors.source_get(source_id)
        return respond(source, serializers.KnowledgeSourceOutput(source).data)


class SourceSyncView(KnowledgeView):
    """Visiting a source."""

    http_method_names = ["post"]

    @extend_schema(operation_id="service_sources_sync", request=None, responses={202: JobOutput})
    def post(self, request: OrganisationRequest, source_id: uuid.UUID) -> Response:
        """Visit its pages now and read what waits; one that is queued already is enough."""
        job = sources.sync_request(selectors.source_get(source_id), request.actor)
        return Response(JobOutput(job).data, status=202)


class DocumentsView(KnowledgeView):
    """Files and pages, each version by itself."""

    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="service_documents_list",
        parameters=[serializers.KnowledgeDocumentQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.KnowledgeDocumentOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the documents, the newest first."""
        query = valid(serializers.KnowledgeDocumentQuery(data=request.query_params.dict()))
        found = selectors.documents_find(source=str(query.get("source", "")), state=query["state"])
        return paginate(self, request, found, serializers.KnowledgeDocumentOutput)

    @extend_schema(
        operation_id="service_documents_create",
        request={"multipart/form-data": serializers.KnowledgeDocumentInput},
        responses={201: serializers.KnowledgeDocumentOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Upload a file of at most 32 MB; a worker reads it. The same bytes again change nothing."""
        data: dict[str, Any] = valid(serializers.KnowledgeDocumentInput(data=request.data))
        file, source_id = data.pop("file"), data.pop("source", None)
        content = {"data": file.read(), "content_type": file.content_type or ""}
        if source_id is None:
            document = sources.file_add(name=file.name, actor=request.actor, **content, **data)
        else:
            source = selectors.source_get(source_id)
            document = sources.version_add(source=source, actor=request.actor, **content)
        return respond(document, serializers.KnowledgeDocumentOutput(document).data, status=201)


class DocumentView(KnowledgeView):
    """One version of a document."""

    @extend_schema(
        operation_id="service_documents_read", responses=serializers.KnowledgeDocumentOutput
    )
    def get(self, request: OrganisationRequest, document_id: uuid.UUID) -> Response:
        """Read how far it is."""
        document = selectors.document_get(document_id)
        return respond(document, serializers.KnowledgeDocumentOutput(document).data)


class DocumentRetryView(KnowledgeView):
    """Reading once more what failed."""

    http_method_names = ["post"]

    @extend_schema(operation_id="service_documents_retry", request=None, responses={202: JobOutput})
    def post(self, request: OrganisationRequest, document_id: uuid.UUID) -> Response:
        """Have a document that failed read once more."""
        document = selectors.document_get(document_id)
        document_retry(document=document)
        job = sources.sync_request(document.source, request.actor)
        return Response(JobOutput(job).data, status=202)


class PassagesView(KnowledgeView):
    """The passages of a document."""

    @extend_schema(
        operation_id="service_passages_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.PassageOutput),
    )
    def get(self, request: OrganisationRequest, document_id: uuid.UUID) -> Response:
        """List what it was cut into, in reading order."""
        rows = selectors.document_get(document_id).passages.all()
        return paginate(self, request, rows, serializers.PassageOutput, ordering="position")


class PassageView(KnowledgeView):
    """One passage."""

    @extend_schema(operation_id="service_passages_read", responses=serializers.PassageOutput)
    def get(self, request: OrganisationRequest, passage_id: uuid.UUID) -> Response:
        """Read one passage."""
        passage = selectors.passage_get(passage_id)
        return respond(passage, serializers.PassageOutput(passage).data)

    @extend_schema(
        operation_id="service_passages_change",
        parameters=[IF_MATCH],
        request=serializers.PassageChange,
        responses=serializers.PassageOutput,
    )
    def patch(self, request: OrganisationRequest, passage_id: uuid.UUID) -> Response:
        """Take it out, so that it is never found or cited, or bring it back; it holds at once."""
        passage = selectors.passage_get(passage_id)
        check_if_match(request, passage)
        data = valid(serializers.PassageChange(data=request.data))
        passage = passage_hide(passage=passage, hidden=data["hidden"], actor=request.actor)
        return respond(passage, serializers.PassageOutput(passage).data)
