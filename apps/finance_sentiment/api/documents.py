"""/api/v1/finance/documents"""

from __future__ import annotations

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.finance_sentiment.api import serializers
from apps.finance_sentiment.models import Document
from apps.finance_sentiment.selectors.documents import DocumentQuery, documents_find
from apps.finance_sentiment.services.intake import (
    MAX_BATCH,
    IncomingDocument,
    document_parse,
    documents_upsert,
)
from apps.finance_sentiment.services.requeueing import documents_requeue
from rootstock.common.api import ApiView, paginate
from rootstock.common.problems import Problem
from rootstock.outbox.idempotency import idempotent
from rootstock.tenancy.permissions import Permission

# A batch of nonsense is answered with its first faults, not with a megabyte of them.
MAX_ERRORS = 1000


class DocumentsView(ApiView):
    """Documents: store and find them."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_documents_list",
        parameters=[serializers.DocumentFilter],
        responses={200: serializers.DocumentPageOutput},
    )
    def get(self, request: Request) -> Response:
        """Find documents, the newest first."""
        wanted = serializers.DocumentFilter(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        return paginate(
            self,
            request,
            documents_find(DocumentQuery(**wanted.validated_data)),
            serializers.DocumentOutput,
            ordering=("-published_at", "-id"),
        )

    @extend_schema(
        operation_id="finance_documents_create",
        request=serializers.DocumentBatchInput,
        responses={202: serializers.DocumentBatchOutput},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Store up to 1,000 documents, all or none; they are scored soon after.

        A document that is there already with the same content is left alone. With other content it
        becomes a new revision and is scored again.
        """
        documents = _parse_batch(request.data)
        result = documents_upsert(documents=documents)
        return Response(serializers.DocumentBatchOutput(result).data, status=202)


class DocumentView(ApiView):
    """One document."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_documents_get",
        responses={200: serializers.DocumentDetailOutput},
    )
    def get(self, request: Request, document_id: uuid.UUID) -> Response:
        """Read a document with its text."""
        row = get_object_or_404(Document, pk=document_id)
        return Response(serializers.DocumentDetailOutput(row).data)


class RequeueView(ApiView):
    """Documents that could not be scored."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_documents_requeue",
        request=None,
        responses={202: serializers.RequeueOutput},
    )
    def post(self, request: Request) -> Response:
        """Score what could not be scored, after a model was deployed that can."""
        return Response({"requeued": documents_requeue()}, status=202)


def _parse_batch(data: Any) -> list[IncomingDocument]:
    """The documents of a request body.

    Raises:
        Problem: 422 that names every document at fault.
    """
    if not isinstance(data, dict) or not isinstance(data.get("documents"), list):
        raise _invalid(
            _("The body is an object with a list of documents."),
            [("/documents", _("This must be a list of documents."))],
        )
    raw = data["documents"]
    if not raw:
        raise _invalid(_("There are no documents."), [("/documents", _("The list is empty."))])
    if len(raw) > MAX_BATCH:
        detail = _("%(count)d documents; at most %(limit)d are taken in one call.") % {
            "count": len(raw),
            "limit": MAX_BATCH,
        }
        raise _invalid(detail, [("/documents", detail)], code="too-many-documents")
    now = timezone.now()
    documents: list[IncomingDocument] = []
    faults: list[tuple[str, str]] = []
    bad: set[int] = set()
    places: dict[tuple[str, str], int] = {}
    for place, item in enumerate(raw):
        document, errors = document_parse(item, now=now)
        if document is not None:
            first = places.setdefault(document.key, place)
            documents.append(document)
            if first != place:
                bad.add(place)
                faults.append(
                    (
                        f"/documents/{place}/external_id",
                        _("Document %(first)d of this batch has the same source and id.")
                        % {"first": first},
                    )
                )
        if errors:
            bad.add(place)
        for error in errors:
            pointer = f"/documents/{place}" + (f"/{error.field}" if error.field else "")
            faults.append((pointer, error.detail))
    if faults:
        detail = _(
            "%(bad)d of %(count)d documents are not valid. Nothing was stored: correct them and send all again."
        ) % {"bad": len(bad), "count": len(raw)}
        raise _invalid(detail, faults)
    return documents


def _invalid(detail: str, faults: list[tuple[str, str]], *, code: str = "invalid") -> Problem:
    errors = [{"pointer": pointer, "detail": text} for pointer, text in faults[:MAX_ERRORS]]
    return Problem(422, code, detail, errors=errors)
