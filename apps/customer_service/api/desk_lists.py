"""/api/v1/service/: agents and their presence, labels, canned replies, macros, saved views, reply times."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.customer_service.api import desk_serializers as serializers
from apps.customer_service.api.desk import DeskView
from apps.customer_service.models import CannedReply, ConversationLabel, Macro, SavedView
from apps.customer_service.selectors.inbox import agent_rows, saved_views
from apps.customer_service.services.assignment import (
    members_answering,
    presence_keep,
    presence_set,
    profile_get,
    profile_update,
)
from apps.customer_service.services.lists import (
    canned_save,
    label_save,
    list_row_delete,
    view_save,
)
from apps.customer_service.services.macros import macro_save
from apps.customer_service.services.sla import policy_get, policy_update
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
from rootstock.common.problems import Problem
from rootstock.tenancy.models import Membership
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class DeskSettingsView(ApiView):
    """Seen by all, changed by whoever sets up the service."""

    permission = Permission.SERVICE_READ
    write_permission = Permission.SERVICE_WRITE


class AgentsView(DeskSettingsView):
    """Who answers."""

    @extend_schema(operation_id="service_agents", responses={200: serializers.AgentListOutput})
    def get(self, request: OrganisationRequest) -> Response:
        """List everybody whose role lets them answer: presence, capacity, skills, load."""
        return Response({"results": agent_rows(members_answering())})


class AgentView(DeskSettingsView):
    """One of them."""

    @extend_schema(
        operation_id="service_agents_put",
        request=serializers.AgentInput,
        responses={200: serializers.AgentOutput},
    )
    def put(self, request: OrganisationRequest, member_id: uuid.UUID) -> Response:
        """Say how many conversations somebody has at a time, and what they are good at."""
        values = valid(serializers.AgentInput(data=request.data))
        member = get_object_or_404(members_answering(), pk=member_id)
        profile_update(profile=profile_get(member), actor=request.actor, **values)
        return Response(_agent(member))


class PresenceView(DeskView):
    """Coming and going."""

    @extend_schema(
        operation_id="service_presence",
        request=serializers.PresenceInput,
        responses={200: serializers.AgentOutput},
    )
    def put(self, request: OrganisationRequest) -> Response:
        """Come, be busy, go, or say that you still sit there: after five minutes of silence nothing new comes."""
        values = valid(serializers.PresenceInput(data=request.data))
        member = request.membership
        if member is None:
            raise Problem(409, "not-a-person", "A key answers no conversations by itself.")
        if "presence" in values:
            presence_set(member=member, presence=values["presence"])
        else:
            presence_keep(member=member)
        return Response(_agent(member))


class LabelsView(DeskSettingsView):
    """Labels."""

    @extend_schema(
        operation_id="service_labels_list",
        parameters=PAGE_PARAMETERS,
        responses={200: page_of(serializers.LabelOutput)},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List labels by name."""
        rows = ConversationLabel.objects.all()
        return paginate(self, request, rows, serializers.LabelOutput, ordering=("name", "id"))

    @extend_schema(
        operation_id="service_labels_create",
        request=serializers.LabelInput,
        responses={201: serializers.LabelOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Make a label."""
        values = valid(serializers.LabelInput(data=request.data))
        label = label_save(actor=request.actor, **values)
        return respond(label, serializers.LabelOutput(label).data, status=201)


class LabelView(DeskSettingsView):
    """One label."""

    @extend_schema(
        operation_id="service_labels_put",
        parameters=[IF_MATCH],
        request=serializers.LabelInput,
        responses={200: serializers.LabelOutput},
    )
    def put(self, request: OrganisationRequest, label_id: uuid.UUID) -> Response:
        """Rename or recolour a label; conversations follow."""
        values = valid(serializers.LabelInput(data=request.data))
        label = get_object_or_404(ConversationLabel.objects.select_for_update(), pk=label_id)
        check_if_match(request, label)
        label_save(label=label, actor=request.actor, **values)
        return respond(label, serializers.LabelOutput(label).data)

    @extend_schema(operation_id="service_labels_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, label_id: uuid.UUID) -> Response:
        """Take a label off the list; conversations keep the word."""
        return _deleted(request, ConversationLabel.objects, label_id, "service.label.delete")


class CannedRepliesView(DeskSettingsView):
    """Canned replies."""

    @extend_schema(
        operation_id="service_canned_list",
        parameters=PAGE_PARAMETERS,
        responses={200: page_of(serializers.CannedOutput)},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List canned replies by their short names."""
        rows = CannedReply.objects.all()
        return paginate(self, request, rows, serializers.CannedOutput, ordering=("short", "id"))

    @extend_schema(
        operation_id="service_canned_create",
        request=serializers.CannedInput,
        responses={201: serializers.CannedOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Make a canned reply."""
        values = valid(serializers.CannedInput(data=request.data))
        canned = canned_save(actor=request.actor, **values)
        return respond(canned, serializers.CannedOutput(canned).data, status=201)


class CannedReplyView(DeskSettingsView):
    """One canned reply."""

    @extend_schema(
        operation_id="service_canned_put",
        parameters=[IF_MATCH],
        request=serializers.CannedInput,
        responses={200: serializers.CannedOutput},
    )
    def put(self, request: OrganisationRequest, canned_id: uuid.UUID) -> Response:
        """Change a canned reply."""
        values = valid(serializers.CannedInput(data=request.data))
        canned = get_object_or_404(CannedReply.objects.select_for_update(), pk=canned_id)
        check_if_match(request, canned)
        canned_save(canned=canned, actor=request.actor, **values)
        return respond(canned, serializers.CannedOutput(canned).data)

    @extend_schema(operation_id="service_canned_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, canned_id: uuid.UUID) -> Response:
        """Delete a canned reply."""
        return _deleted(request, CannedReply.objects, canned_id, "service.canned.delete")


class MacrosView(DeskSettingsView):
    """Macros."""

    @extend_schema(
        operation_id="service_macros_list",
        parameters=PAGE_PARAMETERS,
        responses={200: page_of(serializers.MacroOutput)},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List macros by name."""
        rows = Macro.objects.all()
        return paginate(self, request, rows, serializers.MacroOutput, ordering=("name", "id"))

    @extend_schema(
        operation_id="service_macros_create",
        request=serializers.MacroInput,
        responses={201: serializers.MacroOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Make a macro."""
        values = valid(serializers.MacroInput(data=request.data))
        macro = macro_save(actor=request.actor, **values)
        return respond(macro, serializers.MacroOutput(macro).data, status=201)


class MacroView(DeskSettingsView):
    """One macro."""

    @extend_schema(
        operation_id="service_macros_put",
        parameters=[IF_MATCH],
        request=serializers.MacroInput,
        responses={200: serializers.MacroOutput},
    )
    def put(self, request: OrganisationRequest, macro_id: uuid.UUID) -> Response:
        """Change a macro."""
        values = valid(serializers.MacroInput(data=request.data))
        macro = get_object_or_404(Macro.objects.select_for_update(), pk=macro_id)
        check_if_match(request, macro)
        macro_save(macro=macro, actor=request.actor, **values)
        return respond(macro, serializers.MacroOutput(macro).data)

    @extend_schema(operation_id="service_macros_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, macro_id: uuid.UUID) -> Response:
        """Delete a macro."""
        return _deleted(request, Macro.objects, macro_id, "service.macro.delete")


class ViewsView(DeskView):
    """Saved views of the inbox."""

    @extend_schema(
        operation_id="service_views_list",
        parameters=PAGE_PARAMETERS,
        responses={200: page_of(serializers.ViewOutput)},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List your own views and everybody's."""
        rows = _views(request)
        return paginate(self, request, rows, serializers.ViewOutput, ordering=("name", "id"))

    @extend_schema(
        operation_id="service_views_create",
        request=serializers.ViewInput,
        responses={201: serializers.ViewOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Keep filters under a name; the same name is replaced. A key's views are everybody's."""
        values = valid(serializers.ViewInput(data=request.data))
        member = request.membership
        view = view_save(
            name=values["name"],
            filters=values["filters"],
            member=None if values["shared"] else member,
        )
        return respond(view, serializers.ViewOutput(view).data, status=201)


class ViewView(DeskView):
    """One saved view."""

    @extend_schema(operation_id="service_views_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, view_id: uuid.UUID) -> Response:
        """Delete a view of your own, or one of everybody's."""
        return _deleted(request, _views(request), view_id, "service.view.delete")


class SlaView(DeskSettingsView):
    """Reply times."""

    @extend_schema(operation_id="service_sla_get", responses={200: serializers.SlaOutput})
    def get(self, request: OrganisationRequest) -> Response:
        """Read how soon people answer, and what happens when they do not."""
        policy = policy_get()
        return respond(policy, serializers.SlaOutput(policy).data)

    @extend_schema(
        operation_id="service_sla_put",
        parameters=[IF_MATCH],
        request=serializers.SlaInput,
        responses={200: serializers.SlaOutput},
    )
    def put(self, request: OrganisationRequest) -> Response:
        """Replace the policy. Clocks that run keep their time."""
        values = valid(serializers.SlaInput(data=request.data))
        policy = policy_get()
        check_if_match(request, policy)
        policy = policy_update(policy=policy, values=values, actor=request.actor)
        return respond(policy, serializers.SlaOutput(policy).data)


def _views(request: OrganisationRequest) -> QuerySet[SavedView]:
    ids = [view.pk for view in saved_views(request.membership)]
    return SavedView.objects.filter(pk__in=ids)


def _agent(member: Membership) -> dict[str, Any]:
    (row,) = agent_rows(members_answering().filter(pk=member.pk))
    return row


def _deleted(request: OrganisationRequest, rows: Any, row_id: uuid.UUID, action: str) -> Response:
    row = get_object_or_404(rows, pk=row_id)
    list_row_delete(row=row, actor=request.actor, action=action)
    return Response(status=204)
