"""/api/v1/finance/sources and refused-items"""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.response import Response

from apps.finance_sentiment.api import source_serializers as shapes
from apps.finance_sentiment.models import RefusedItem, Source, SourceKind
from apps.finance_sentiment.selectors.sources import refused_find, sources_find
from apps.finance_sentiment.services.sources.managing import (
    source_archive,
    source_create,
    source_poll_now,
    source_rotate_secret,
    source_update,
)
from apps.finance_sentiment.services.sources.opml import (
    OpmlRefused,
    opml_import,
    opml_parse,
    opml_write,
)
from apps.finance_sentiment.services.sources.refusing import (
    StillRefused,
    refused_dismiss,
    refused_retry,
    refused_retry_all,
)
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
from rootstock.common.problems import Problem, invalid
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class _SourcesView(ApiView):
    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE


class SourcesView(_SourcesView):
    """Where documents come from."""

    @extend_schema(
        operation_id="finance_sources_list",
        parameters=[shapes.NewsSourceFilter, *PAGE_PARAMETERS],
        responses=page_of(shapes.NewsSourceOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List sources by name, each with its health."""
        wanted = valid(shapes.NewsSourceFilter(data=request.query_params))
        return paginate(
            self, request, sources_find(**wanted), shapes.NewsSourceOutput, ordering=("name", "id")
        )

    @extend_schema(
        operation_id="finance_sources_create",
        parameters=[IDEMPOTENCY_KEY],
        request=shapes.NewsSourceInput,
        responses={201: shapes.NewsSourceWithSecretOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Set up a source; a polled one is asked at once. The secret of a webhook is shown only here."""
        values = valid(shapes.NewsSourceInput(data=request.data))
        source = _checked_create(request, values)
        return respond(source, shapes.NewsSourceWithSecretOutput(source).data, status=201)


def _checked_create(request: OrganisationRequest, values: dict[str, object]) -> Source:
    name, kind = str(values.pop("name")), str(values.pop("kind"))
    return source_create(actor=request.actor, name=name, kind=kind, values=values)


class SourceView(_SourcesView):
    """One source."""

    @extend_schema(operation_id="finance_sources_get", responses=shapes.NewsSourceOutput)
    def get(self, request: OrganisationRequest, news_source_id: uuid.UUID) -> Response:
        """Read a source with its health; its ETag guards a change of its settings."""
        source = _source(news_source_id)
        # No ETag header: health changes with every poll, and a reader must not take it for unchanged.
        return Response(shapes.NewsSourceOutput(source).data)

    @extend_schema(
        operation_id="finance_sources_change",
        parameters=[IF_MATCH],
        request=shapes.NewsSourceChange,
        responses=shapes.NewsSourceOutput,
    )
    def patch(self, request: OrganisationRequest, news_source_id: uuid.UUID) -> Response:
        """Change what is given. Another address or other selectors are tried at once."""
        values = valid(shapes.NewsSourceChange(data=request.data, partial=True))
        source = _source(news_source_id)
        check_if_match(request, source)
        source = source_update(source=source, actor=request.actor, values=values)
        return respond(source, shapes.NewsSourceOutput(source).data)

    @extend_schema(operation_id="finance_sources_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, news_source_id: uuid.UUID) -> Response:
        """Take a source away; its documents stay."""
        source_archive(source=_source(news_source_id), actor=request.actor)
        return Response(status=204)


class SourcePollView(_SourcesView):
    """Asking at once."""

    @extend_schema(operation_id="finance_sources_poll", request=None, responses={202: None})
    def post(self, request: OrganisationRequest, news_source_id: uuid.UUID) -> Response:
        """Ask the source as soon as a poller is free."""
        if not source_poll_now(source=_source(news_source_id)):
            raise Problem(
                409, "not-polled", _("This source is not asked; it sends by itself, or it is off.")
            )
        return Response(status=202)


class SourceSecretView(_SourcesView):
    """The secret of an inbound webhook."""

    @extend_schema(
        operation_id="finance_sources_rotate_secret",
        request=None,
        responses=shapes.NewsSourceWithSecretOutput,
    )
    def post(self, request: OrganisationRequest, news_source_id: uuid.UUID) -> Response:
        """Make a new secret; the old one is good for another 24 hours."""
        source = _source(news_source_id)
        if source.kind != SourceKind.HOOK:
            raise Problem(409, "no-webhook", _("Only an inbound webhook has a secret."))
        source = source_rotate_secret(source=source, actor=request.actor)
        return Response(shapes.NewsSourceWithSecretOutput(source).data)


class OpmlView(_SourcesView):
    """Lists of feeds."""

    @extend_schema(
        operation_id="finance_sources_opml_get",
        responses={(200, "text/x-opml"): OpenApiResponse(response=str)},
    )
    def get(self, request: OrganisationRequest) -> HttpResponse:
        """All feeds as OPML, in a folder a group."""
        return HttpResponse(
            opml_write(sources_find(kind=SourceKind.FEED)),
            content_type="text/x-opml; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="sources.opml"'},
        )

    @extend_schema(
        operation_id="finance_sources_opml_post",
        request=shapes.OpmlInput,
        responses=shapes.OpmlOutput,
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Set up the feeds of a list that are not there yet."""
        text = valid(shapes.OpmlInput(data=request.data))["opml"]
        try:
            outlines = opml_parse(text.encode())
        except OpmlRefused as error:
            raise invalid("/opml", str(error)) from error
        report = opml_import(outlines=outlines, actor=request.actor)
        refused = [{"name": name, "reason": reason} for name, reason in report.refused]
        answer = {"created": report.created, "known": report.known, "refused": refused}
        return Response(shapes.OpmlOutput(answer).data)


class RefusedItemsView(_SourcesView):
    """Dead letters: items that could not be taken in."""

    @extend_schema(
        operation_id="finance_refused_items_list",
        parameters=[shapes.RefusedFilter, *PAGE_PARAMETERS],
        responses=page_of(shapes.RefusedItemOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List them, the latest first."""
        wanted = valid(shapes.RefusedFilter(data=request.query_params))
        source = get_object_or_404(Source, pk=wanted["source"]) if "source" in wanted else None
        rows = refused_find(source=source, state=wanted.get("state"))
        return paginate(self, request, rows, shapes.RefusedItemOutput, ordering=("-last_at", "-id"))


class RefusedRetryAllView(_SourcesView):
    """All of them once more."""

    @extend_schema(
        operation_id="finance_refused_items_retry_all",
        request=None,
        responses=shapes.RetryAllOutput,
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Try the latest 500 that are open again."""
        taken, refused = refused_retry_all()
        return Response({"taken": taken, "refused": refused})


class RefusedRetryView(_SourcesView):
    """One of them once more."""

    @extend_schema(
        operation_id="finance_refused_items_retry",
        request=shapes.RefusedChanges,
        responses=shapes.RefusedItemOutput,
    )
    def post(self, request: OrganisationRequest, refused_item_id: uuid.UUID) -> Response:
        """Take it in after all, with corrected fields if any are given."""
        changes = valid(shapes.RefusedChanges(data=request.data))
        item = _refused(refused_item_id)
        try:
            refused_retry(item=item, changes=changes)
        except StillRefused as error:
            errors = [{"pointer": f"/{each.field}", "detail": each.detail} for each in error.errors]
            raise Problem(422, "invalid", _("It is no document yet."), errors=errors) from error
        return Response(shapes.RefusedItemOutput(item).data)


class RefusedDismissView(_SourcesView):
    """One that nobody wants."""

    @extend_schema(
        operation_id="finance_refused_items_dismiss",
        request=None,
        responses=shapes.RefusedItemOutput,
    )
    def post(self, request: OrganisationRequest, refused_item_id: uuid.UUID) -> Response:
        """Leave it out, also when it comes again."""
        item = _refused(refused_item_id)
        refused_dismiss(item=item)
        return Response(shapes.RefusedItemOutput(item).data)


def _source(source_id: uuid.UUID) -> Source:
    return get_object_or_404(
        Source.objects.select_related("polling"), pk=source_id, archived_at=None
    )


def _refused(item_id: uuid.UUID) -> RefusedItem:
    rows = RefusedItem.objects.select_for_update(of=("self",)).select_related("source")
    return get_object_or_404(rows, pk=item_id)
