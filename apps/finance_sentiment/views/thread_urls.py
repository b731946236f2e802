"""/public-opinion/threads/, /public-opinion/documents/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.views import threads as views

urlpatterns = [
    path("threads/", views.ThreadsView.as_view(), name="threads"),
    path("threads/<uuid:thread_id>/", views.ThreadView.as_view(), name="thread"),
    path(
        "documents/<uuid:document_id>/edits/",
        views.DocumentEditsView.as_view(),
        name="document-edits",
    ),
]
