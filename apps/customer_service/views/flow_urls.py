"""Addresses of the pages of flows and business actions."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.views import actions, flows

FLOW = "flows/<uuid:flow_id>/"
ACTION = "flows/actions/<uuid:action_id>/"

urlpatterns: list[URLPattern] = [
    path("flows/", flows.flow_list, name="flows"),
    path("flows/new/", flows.flow_new, name="flow-new"),
    path(FLOW, flows.flow_editor, name="flow"),
    path(f"{FLOW}start/", flows.flow_start, name="flow-start"),
    path(f"{FLOW}versions/", flows.flow_versions, name="flow-versions"),
    path(f"{FLOW}runs/", flows.flow_run_list, name="flow-runs"),
    path(f"{FLOW}live/<int:number>/", flows.flow_live, name="flow-live"),
    path(f"{FLOW}switch/", flows.flow_switch, name="flow-switch"),
    path(f"{FLOW}remove/", flows.flow_remove, name="flow-remove"),
    path("flows/actions/", actions.action_list, name="actions"),
    path("flows/actions/new/", actions.action_new, name="action-new"),
    path("flows/calls/", actions.call_list, name="action-calls"),
    path("flows/calls/<uuid:call_id>/", actions.call_detail, name="action-call"),
    path(ACTION, actions.action_detail, name="action"),
    path(f"{ACTION}rotate/", actions.action_rotate, name="action-rotate"),
    path(f"{ACTION}remove/", actions.action_remove, name="action-remove"),
    path(f"{ACTION}try/", actions.action_try, name="action-try"),
]
