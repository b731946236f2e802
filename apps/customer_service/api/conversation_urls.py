"""Addresses of conversations."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.api import conversations

ONE = "conversations/<uuid:conversation_id>"

urlpatterns: list[URLPattern] = [
    path("conversations", conversations.ConversationsView.as_view()),
    path(ONE, conversations.ConversationDetailView.as_view()),
    path(f"{ONE}/messages", conversations.ConversationMessagesView.as_view()),
    path(f"{ONE}/hand-off", conversations.HandOffView.as_view()),
    path(f"{ONE}/assign", conversations.AssignView.as_view()),
    path(f"{ONE}/return", conversations.ReturnView.as_view()),
    path(f"{ONE}/resolve", conversations.ResolveView.as_view()),
    path(f"{ONE}/reopen", conversations.ReopenView.as_view()),
]
