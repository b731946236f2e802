"""REST: rules, and what they would have done."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.finance_sentiment.api import rule_serializers as serializers
from apps.finance_sentiment.models import Rule, Subject
from apps.finance_sentiment.selectors.previews import MAX_RANGE, rule_preview
from apps.finance_sentiment.services.rules import (
    RuleRefused,
    rule_check,
    rule_create,
    rule_delete,
    rule_update,
    rule_values,
    rules_get_or_create,
)
from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    ApiView,
    check_if_match,
    etag_of,
    paginate,
    valid,
)
from rootstock.common.problems import Problem, invalid
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class RulesView(ApiView):
    """Rules."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_rules_list",
        parameters=PAGE_PARAMETERS,
        responses={200: serializers.RulePageOutput},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """The rules, oldest first. There is always one."""
        rules_get_or_create()
        return paginate(
            self,
            request,
            Rule.objects.all(),
            serializers.RuleOutput,
            ordering=("created_at", "id"),
        )

    @extend_schema(
        operation_id="finance_rules_create",
        request=serializers.RuleInput,
        responses={201: serializers.RuleOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Make a rule. It raises nothing for the past."""
        values = valid(serializers.RuleInput(data=request.data))
        try:
            rule = rule_create(actor=request.actor, values=values)
        except RuleRefused as error:
            raise Problem(422, "invalid", str(error)) from error
        return Response(
            serializers.RuleOutput(rule).data, status=201, headers={"ETag": etag_of(rule)}
        )


class RuleView(ApiView):
    """One rule."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(operation_id="finance_rules_get", responses={200: serializers.RuleOutput})
    def get(self, request: OrganisationRequest, rule_id: uuid.UUID) -> Response:
        """Read a rule; its ETag guards a change."""
        rule = get_object_or_404(Rule, pk=rule_id)
        return Response(serializers.RuleOutput(rule).data, headers={"ETag": etag_of(rule)})

    @extend_schema(
        operation_id="finance_rules_put",
        parameters=[IF_MATCH],
        request=serializers.RuleInput,
        responses={200: serializers.RuleOutput},
    )
    def put(self, request: OrganisationRequest, rule_id: uuid.UUID) -> Response:
        """Replace a rule. Stored buckets are judged again; open alerts stay, or end where it is switched off."""
        values = valid(serializers.RuleInput(data=request.data))
        rule = get_object_or_404(Rule.objects.select_for_update(), pk=rule_id)
        check_if_match(request, rule)
        try:
            rule = rule_update(rule=rule, actor=request.actor, values=rule_values(values))
        except RuleRefused as error:
            raise Problem(422, "invalid", str(error)) from error
        return Response(serializers.RuleOutput(rule).data, headers={"ETag": etag_of(rule)})

    @extend_schema(
        operation_id="finance_rules_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, rule_id: uuid.UUID) -> Response:
        """Delete a rule; its open alerts end. The last one cannot be deleted."""
        rule = get_object_or_404(Rule.objects.select_for_update(), pk=rule_id)
        check_if_match(request, rule)
        try:
            rule_delete(rule=rule, actor=request.actor)
        except RuleRefused as error:
            raise Problem(409, "last-rule", str(error)) from error
        return Response(status=204)


class RulePreviewView(ApiView):
    """What a rule would have done."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_rules_preview",
        request=serializers.PreviewInput,
        responses={200: serializers.PreviewOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Try a rule on the stored history. Nothing is kept."""
        values = valid(serializers.PreviewInput(data=request.data))
        since, until = _range(values)
        shown = None
        if "shown_kind" in values:
            shown = Subject(values["shown_kind"], values.get("shown_key", ""))
        try:
            rule = Rule(**rule_values(values))
            rule_check(rule)
        except RuleRefused as error:
            raise Problem(422, "invalid", str(error)) from error
        preview = rule_preview(rule=rule, since=since, until=until, shown=shown)
        return Response(preview.as_json())


def _range(values: dict[str, Any]) -> tuple[datetime, datetime]:
    until = values.get("until") or timezone.now()
    try:
        since = values.get("since") or until - timedelta(days=30)
        # What is usual is learned from before the range, which must be a date as well.
        _before = since - MAX_RANGE
    except OverflowError as error:
        raise invalid("/since", str(error)) from error
    if since >= until:
        raise invalid("/until", _("The range ends before it begins."))
    if until - since > MAX_RANGE:
        raise invalid("/since", _("The range is longer than a year."))
    return since, until
