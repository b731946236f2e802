"""Pages under /models/collections/."""

from __future__ import annotations

from django.urls import path

from rootstock.vectors import views

app_name = "vectors"
urlpatterns = [
    path("", views.collections, name="collections"),
    path("new/", views.collection_new, name="collection-new"),
    path("embedding-model/", views.embedding_model, name="embedding-model"),
    path("<uuid:collection_id>/", views.collection, name="collection"),
    path("<uuid:collection_id>/progress/", views.collection_progress, name="progress"),
    path("<uuid:collection_id>/model/", views.collection_model, name="model"),
    path("<uuid:collection_id>/cancel/", views.collection_cancel, name="cancel"),
    path("<uuid:collection_id>/delete/", views.collection_delete, name="delete"),
]
