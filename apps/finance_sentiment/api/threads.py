"""/api/v1/finance/threads, and the versions of a document."""

from __future__ import annotations

import uuid

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.finance_sentiment.api import thread_serializers as serializers
from apps.finance_sentiment.models import Document, Story, Thread
from apps.finance_sentiment.selectors.threads import (
    ThreadQuery,
    document_versions,
    threads_find,
)
from apps.finance_sentiment.services.thread_edits import ThreadRefused, story_split, thread_merge
from rootstock.common.api import ApiView, paginate
from rootstock.common.problems import Problem
from rootstock.tenancy.permissions import Permission


class ThreadsView(ApiView):
    """Threads."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_threads_list",
        parameters=[serializers.ThreadFilter],
        responses={200: serializers.ThreadPageOutput},
    )
    def get(self, request: Request) -> Response:
        """Find events, the last told first."""
        wanted = serializers.ThreadFilter(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        return paginate(
            self,
            request,
            threads_find(ThreadQuery(**wanted.validated_data)),
            serializers.ThreadOutput,
            ordering=("-last_seen_at", "-id"),
        )


class ThreadView(ApiView):
    """One thread."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_threads_get", responses={200: serializers.ThreadDetailOutput}
    )
    def get(self, request: Request, thread_id: uuid.UUID) -> Response:
        """Read a thread with its stories and documents."""
        thread = get_object_or_404(Thread, pk=thread_id)
        return Response(serializers.ThreadDetailOutput(thread).data)


class ThreadMergeView(ApiView):
    """Two threads of one event."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_threads_merge",
        request=serializers.ThreadMergeInput,
        responses={200: serializers.ThreadDetailOutput},
    )
    def post(self, request: Request, thread_id: uuid.UUID) -> Response:
        """Take another thread in. The model does not undo it."""
        values = serializers.ThreadMergeInput(data=request.data)
        values.is_valid(raise_exception=True)
        thread = get_object_or_404(Thread, pk=thread_id)
        other = get_object_or_404(Thread, pk=values.validated_data["thread"])
        try:
            merged = thread_merge(thread=thread, other=other, actor=request.actor)  # type: ignore[attr-defined]
        except ThreadRefused as error:
            raise Problem(422, "invalid", str(error)) from error
        return Response(serializers.ThreadDetailOutput(merged).data)


class ThreadSplitView(ApiView):
    """A story that is another event."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_threads_split",
        request=serializers.ThreadSplitInput,
        responses={200: serializers.ThreadDetailOutput},
    )
    def post(self, request: Request, thread_id: uuid.UUID) -> Response:
        """Give a story a thread of its own, which is returned. The model does not undo it."""
        values = serializers.ThreadSplitInput(data=request.data)
        values.is_valid(raise_exception=True)
        thread = get_object_or_404(Thread, pk=thread_id)
        story = get_object_or_404(Story, pk=values.validated_data["story"])
        try:
            own = story_split(thread=thread, story=story, actor=request.actor)  # type: ignore[attr-defined]
        except ThreadRefused as error:
            raise Problem(422, "invalid", str(error)) from error
        return Response(serializers.ThreadDetailOutput(own).data)


class DocumentVersionsView(ApiView):
    """Edits of a document."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_documents_versions",
        responses={200: serializers.DocumentVersionListOutput},
    )
    def get(self, request: Request, document_id: uuid.UUID) -> Response:
        """Read what the document said before it was edited, the latest first."""
        document = get_object_or_404(Document, pk=document_id)
        return Response(
            serializers.DocumentVersionListOutput({"results": document_versions(document)}).data
        )


urlpatterns = [
    path("threads", ThreadsView.as_view()),
    path("threads/<uuid:thread_id>", ThreadView.as_view()),
    path("threads/<uuid:thread_id>/merge", ThreadMergeView.as_view()),
    path("threads/<uuid:thread_id>/split", ThreadSplitView.as_view()),
    path("documents/<uuid:document_id>/versions", DocumentVersionsView.as_view()),
]
