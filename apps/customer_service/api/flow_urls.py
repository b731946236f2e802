"""Addresses of flows and business actions."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.api import actions, flows

VERSION = "flows/<uuid:flow_id>/versions/<int:number>"

urlpatterns: list[URLPattern] = [
    path("flows", flows.FlowsView.as_view()),
    path("flows/check", flows.FlowCheckView.as_view()),
    path("flows/simulate", flows.FlowSimulationView.as_view()),
    path("flows/templates", flows.FlowTemplatesView.as_view()),
    path("flows/<uuid:flow_id>", flows.FlowView.as_view()),
    path("flows/<uuid:flow_id>/runs", flows.FlowRunsView.as_view()),
    path("flows/<uuid:flow_id>/versions", flows.FlowVersionsView.as_view()),
    path(VERSION, flows.FlowVersionView.as_view()),
    path(f"{VERSION}/live", flows.FlowLiveView.as_view()),
    path(f"{VERSION}/diff", flows.FlowDiffView.as_view()),
    path("actions", actions.ActionsView.as_view()),
    path("actions/<uuid:action_id>", actions.ActionView.as_view()),
    path("actions/<uuid:action_id>/secret", actions.ActionSecretView.as_view()),
    path("actions/<uuid:action_id>/test", actions.ActionTestView.as_view()),
    path("action-calls", actions.CallsView.as_view()),
    path("action-calls/<uuid:call_id>", actions.CallView.as_view()),
]
