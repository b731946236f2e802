"""/api/v1/finance/labels, and the labels of a document."""

from __future__ import annotations

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.finance_sentiment.api import label_serializers as serializers
from apps.finance_sentiment.models import Document, Sentiment
from apps.finance_sentiment.selectors.labels import (
    LabelQuery,
    document_labels,
    label_agreement,
    labels_find,
    topic_choices,
)
from apps.finance_sentiment.services.loop.labels import (
    LabelRefused,
    document_doubt,
    label_give,
    label_undo,
)
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate, valid
from rootstock.common.problems import Problem
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class LabelsView(ApiView):
    """Labels."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_labels_list",
        parameters=[serializers.DocumentLabelFilter, *PAGE_PARAMETERS],
        responses={200: page_of(serializers.DocumentLabelOutput)},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Find what people said of documents, the newest first."""
        wanted = valid(serializers.DocumentLabelFilter(data=request.query_params))
        found = labels_find(LabelQuery(**wanted))
        return paginate(self, request, found, serializers.DocumentLabelOutput)


class LabelChoicesView(ApiView):
    """What can be said."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_labels_choices", responses={200: serializers.LabelChoicesOutput}
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Read the sentiments and topics that a label can have, in the language of the request."""
        topics = [{"topic": slug, "name": name} for slug, name in topic_choices()]
        return Response({"sentiments": list(Sentiment.values), "topics": topics})


class LabelAgreementView(ApiView):
    """How far people agree."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_labels_agreement",
        responses={200: serializers.LabelAgreementListOutput},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Read how far people agree with each other and with the models."""
        return Response(serializers.LabelAgreementListOutput({"results": label_agreement()}).data)


class LabelUndoView(ApiView):
    """The last label."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_labels_undo",
        request=None,
        responses={200: serializers.LabelUndoneOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Take back what you said last; what you had said before of the same comes back."""
        try:
            label = label_undo(actor=request.actor)
        except LabelRefused as error:
            raise Problem(409, "nothing-to-undo", str(error)) from error
        state = document_labels(label.document, request.actor)
        return Response(serializers.LabelUndoneOutput({"undone": label, "labels": state}).data)


class DocumentLabelsView(ApiView):
    """The labels of a document."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_document_labels_get",
        responses={200: serializers.DocumentLabelsOutput},
    )
    def get(self, request: OrganisationRequest, document_id: uuid.UUID) -> Response:
        """Read what the models and people say of a document and of its mentions."""
        return Response(_labels(get_object_or_404(Document, pk=document_id), request))

    @extend_schema(
        operation_id="finance_document_labels_give",
        request=serializers.DocumentLabelInput,
        responses={200: serializers.DocumentLabelsOutput},
    )
    def post(self, request: OrganisationRequest, document_id: uuid.UUID) -> Response:
        """Say what is right; it replaces what you said before. Answers all labels of the document."""
        document = get_object_or_404(Document, pk=document_id)
        values = valid(serializers.DocumentLabelInput(data=request.data))
        try:
            label_give(document=document, actor=request.actor, **values)
        except LabelRefused as error:
            pointer = [{"pointer": f"/{error.field}", "detail": str(error)}]
            raise Problem(422, "invalid", str(error), errors=pointer) from error
        return Response(_labels(document, request))


class DocumentDoubtView(ApiView):
    """A doubt about a document."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_document_doubt",
        request=None,
        responses={200: serializers.DoubtOutput},
    )
    def post(self, request: OrganisationRequest, document_id: uuid.UUID) -> Response:
        """Say that something is wrong, without saying what is right; others are asked about it first."""
        document = get_object_or_404(Document, pk=document_id)
        doubted = document_doubt(document=document, actor=request.actor)
        return Response(serializers.DoubtOutput(doubted).data)


def _labels(document: Document, request: OrganisationRequest) -> Any:
    return serializers.DocumentLabelsOutput(document_labels(document, request.actor)).data
