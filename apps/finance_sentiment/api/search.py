"""REST: search over all stored documents."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema

from apps.finance_sentiment.api import search_serializers as serializers
from apps.finance_sentiment.selectors.search import SearchQuery
from apps.finance_sentiment.selectors.search_pages import BadCursor, SearchPage, search_page
from rootstock.common.api import ApiView, valid
from rootstock.common.problems import invalid
from rootstock.gateway.late import LateAnswer
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class SearchView(ApiView):
    """Search."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_search",
        parameters=[serializers.SearchFilter],
        responses={200: serializers.SearchOutput},
    )
    def get(self, request: OrganisationRequest) -> HttpResponseBase:
        """Find documents by words, by meaning and by facets. Documents are found as soon as they are scored."""
        values = valid(serializers.SearchFilter(data=request.query_params))
        since, until = values.get("since"), values.get("until")
        if since and until and since >= until:
            raise invalid("/until", _("The range ends before it begins."))
        cursor, size = values.pop("cursor", ""), values.pop("page_size")
        order = values.pop("order", "best")
        organisation_id = request.organisation.pk

        def finish() -> JsonResponse:
            try:
                page = search_page(
                    organisation_id,
                    SearchQuery(**values),
                    order=order,
                    cursor=cursor,
                    size=size,
                )
            except BadCursor as error:
                raise invalid(
                    "/cursor", _("This cursor is not one that a page gave out. Start without it.")
                ) from error
            return JsonResponse(page_json(page, is_first=not cursor))

        return LateAnswer(finish)


def page_json(page: SearchPage, *, is_first: bool) -> dict[str, Any]:
    """A page as `SearchOutput` describes it."""
    hits = {found.hit.id: found.hit for found in page.results}
    rows = serializers.FoundDocumentOutput(
        [found.document for found in page.results], many=True, context={"hits": hits}
    )
    return {
        "results": rows.data,
        "next": page.next or None,
        "facets": serializers.FacetsOutput(page.facets).data if is_first else None,
        "words_only": page.words_only or None,
    }
