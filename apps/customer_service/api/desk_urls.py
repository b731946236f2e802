"""Addresses of this part."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.api import desk, desk_lists, insights

CONVERSATION = "inbox/<uuid:conversation_id>"

urlpatterns: list[URLPattern] = [
    path("inbox", desk.InboxView.as_view()),
    path(CONVERSATION, desk.InboxConversationView.as_view()),
    path(f"{CONVERSATION}/messages/<uuid:message_id>/trace", desk.InboxTraceView.as_view()),
    path(f"{CONVERSATION}/replies", desk.InboxReplyView.as_view()),
    path(f"{CONVERSATION}/attachments", desk.InboxAttachmentsView.as_view()),
    path(f"{CONVERSATION}/assignee", desk.InboxAssigneeView.as_view()),
    path(f"{CONVERSATION}/status", desk.InboxStatusView.as_view()),
    path(f"{CONVERSATION}/labels", desk.InboxLabelsView.as_view()),
    path(f"{CONVERSATION}/priority", desk.InboxPriorityView.as_view()),
    path(f"{CONVERSATION}/read", desk.InboxReadView.as_view()),
    path(f"{CONVERSATION}/macros/<uuid:macro_id>", desk.InboxMacroView.as_view()),
    path(f"{CONVERSATION}/suggestion", desk.InboxSuggestionView.as_view()),
    path("suggestions/<uuid:suggestion_id>/dismiss", desk.SuggestionDismissView.as_view()),
    path("agents", desk_lists.AgentsView.as_view()),
    path("agents/presence", desk_lists.PresenceView.as_view()),
    path("agents/<uuid:member_id>", desk_lists.AgentView.as_view()),
    path("labels", desk_lists.LabelsView.as_view()),
    path("labels/<uuid:label_id>", desk_lists.LabelView.as_view()),
    path("canned", desk_lists.CannedRepliesView.as_view()),
    path("canned/<uuid:canned_id>", desk_lists.CannedReplyView.as_view()),
    path("macros", desk_lists.MacrosView.as_view()),
    path("macros/<uuid:macro_id>", desk_lists.MacroView.as_view()),
    path("views", desk_lists.ViewsView.as_view()),
    path("views/<uuid:view_id>", desk_lists.ViewView.as_view()),
    path("sla", desk_lists.SlaView.as_view()),
    path("insights", insights.InsightsView.as_view()),
    path("insights/conversations", insights.InsightConversationsView.as_view()),
    path("insights.csv", insights.InsightCsvView.as_view()),
    path("customers/<uuid:visitor_id>/export", insights.CustomerExportView.as_view()),
    path("customers/<uuid:visitor_id>/erase", insights.CustomerView.as_view()),
]
