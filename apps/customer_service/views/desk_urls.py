"""Addresses of the inbox, the insights and the desk's settings."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from apps.customer_service.views import desk, desk_settings, insights

urlpatterns: list[URLPattern] = [
    path("", desk.inbox, name="inbox"),
    path(
        "conversations/<uuid:conversation_id>/messages/<uuid:message_id>/trace/",
        desk.message_trace,
        name="trace",
    ),
    path("suggestions/<uuid:suggestion_id>/trace/", desk.suggestion_trace, name="suggestion-trace"),
    path("customers/<uuid:visitor_id>/export/", desk.customer_export_file, name="customer-export"),
    path("customers/<uuid:visitor_id>/erase/", desk.customer_erase_all, name="customer-erase"),
    path("insights/", insights.insights, name="insights"),
    path("insights/now/", insights.insights_now, name="insights-now"),
    path("insights/conversations/", insights.insights_conversations, name="insights-conversations"),
    path("insights/conversations.csv", insights.insights_csv, name="insights-csv"),
    path("desk/", desk_settings.agents, name="desk"),
    path("desk/reply-times/", desk_settings.sla, name="desk-sla"),
    path("desk/labels/", desk_settings.labels, name="desk-labels"),
    path("desk/canned/", desk_settings.canned_replies, name="desk-canned"),
    path("desk/canned/new/", desk_settings.canned_edit, name="canned-new"),
    path("desk/canned/<uuid:row_id>/", desk_settings.canned_edit, name="canned"),
    path("desk/macros/", desk_settings.macros, name="desk-macros"),
    path("desk/macros/new/", desk_settings.macro_edit, name="macro-new"),
    path("desk/macros/<uuid:row_id>/", desk_settings.macro_edit, name="macro"),
    re_path(
        r"^desk/(?P<kind>labels|canned|macros)/(?P<row_id>[0-9a-f-]{36})/delete/$",
        desk_settings.delete,
        name="desk-delete",
    ),
]
