"""REST: saved views."""

from __future__ import annotations

import uuid

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.finance_sentiment.api import saved_view_serializers as serializers
from apps.finance_sentiment.selectors.saved_views import saved_views
from apps.finance_sentiment.services.saved_views import (
    saved_view_create,
    saved_view_delete,
    saved_view_update,
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
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


def _may_share(request: OrganisationRequest) -> bool:
    return Permission.FINANCE_WRITE in request.granted


class SavedViewsView(ApiView):
    """Views under a name."""

    permission = Permission.FINANCE_READ
    # Who may read may keep what they read by; sharing needs more, which the service asks for.
    write_permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_views_list",
        parameters=[serializers.SavedViewFilter, *PAGE_PARAMETERS],
        responses={200: page_of(serializers.SavedViewOutput)},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Your own views and those that are shared; a key sees those that are shared."""
        wanted = valid(serializers.SavedViewFilter(data=request.query_params))
        rows = saved_views(request.actor, page=wanted.get("page", ""))
        return paginate(
            self, request, rows, serializers.SavedViewOutput, ordering=("created_at", "id")
        )

    @extend_schema(
        operation_id="finance_views_create",
        request=serializers.SavedViewInput,
        responses={201: serializers.SavedViewOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Keep a view. Sharing needs `finance:write`; what a key makes is shared."""
        values = valid(serializers.SavedViewInput(data=request.data))
        view = saved_view_create(actor=request.actor, may_share=_may_share(request), **values)
        return respond(view, serializers.SavedViewOutput(view).data, status=201)


class SavedViewView(ApiView):
    """One view."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_READ

    @extend_schema(operation_id="finance_views_get", responses={200: serializers.SavedViewOutput})
    def get(self, request: OrganisationRequest, finance_view_id: uuid.UUID) -> Response:
        """Read a view; its ETag guards a change."""
        view = get_object_or_404(saved_views(request.actor), pk=finance_view_id)
        return respond(view, serializers.SavedViewOutput(view).data)

    @extend_schema(
        operation_id="finance_views_put",
        parameters=[IF_MATCH],
        request=serializers.SavedViewChangeInput,
        responses={200: serializers.SavedViewOutput},
    )
    def put(self, request: OrganisationRequest, finance_view_id: uuid.UUID) -> Response:
        """Replace a view of your own."""
        values = valid(serializers.SavedViewChangeInput(data=request.data))
        view = get_object_or_404(saved_views(request.actor), pk=finance_view_id)
        check_if_match(request, view)
        view = saved_view_update(
            view=view, actor=request.actor, may_share=_may_share(request), **values
        )
        return respond(view, serializers.SavedViewOutput(view).data)

    @extend_schema(
        operation_id="finance_views_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, finance_view_id: uuid.UUID) -> Response:
        """Delete a view of your own."""
        view = get_object_or_404(saved_views(request.actor), pk=finance_view_id)
        check_if_match(request, view)
        saved_view_delete(view=view, actor=request.actor, may_share=_may_share(request))
        return Response(status=204)
