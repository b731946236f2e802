"""/widget/api/<channel key>/"""

from __future__ import annotations

from django.urls import path

from apps.customer_service.widget import api, files

TALK = "conversations/<uuid:conversation_id>"
REPLY = f"{TALK}/messages/<uuid:message_id>"

urlpatterns = [
    path("session", api.SessionView.as_view()),
    path("conversations", api.ConversationsView.as_view()),
    path(f"{TALK}/messages", api.MessagesView.as_view()),
    *[
        path(f"{REPLY}/{action}", api.ReplyActionView.as_view(action=action))
        for action in ("stop", "regenerate", "thumb")
    ],
    path(f"{TALK}/read", api.ReadView.as_view()),
    path(f"{TALK}/csat", api.CsatView.as_view()),
    path(f"{TALK}/people", api.PeopleView.as_view()),
    path(f"{TALK}/attachments", files.AttachmentsView.as_view()),
    path("citations/<uuid:message_id>/<int:number>", api.CitationView.as_view()),
]
