"""REST: the audit log."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from rootstock.audit.api.serializers import AuditEntryOutput, AuditFilter
from rootstock.audit.selectors import audit_entries
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate
from rootstock.tenancy.permissions import Permission


class AuditList(ApiView):
    """The log; there is no way to change it."""

    permission = Permission.AUDIT_READ

    @extend_schema(
        operation_id="audit_list",
        parameters=[AuditFilter, *PAGE_PARAMETERS],
        responses=page_of(AuditEntryOutput),
    )
    def get(self, request: Request) -> Response:
        """List who did what, the newest first."""
        wanted = AuditFilter(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        entries = audit_entries(**wanted.validated_data)
        return paginate(self, request, entries, AuditEntryOutput)
