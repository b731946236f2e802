"""Addresses under /api/v1/vectors/."""

from __future__ import annotations

from django.urls import path

from rootstock.vectors.api import views

urlpatterns = [
    path("embedding-model/", views.EmbeddingModelView.as_view()),
    path("collections/", views.CollectionList.as_view()),
    path("collections/<uuid:collection_id>/", views.CollectionView.as_view()),
    path("collections/<uuid:collection_id>/items/", views.ItemList.as_view()),
    path("collections/<uuid:collection_id>/items/delete/", views.ItemsDelete.as_view()),
    path("collections/<uuid:collection_id>/search/", views.Search.as_view()),
    path("collections/<uuid:collection_id>/model/", views.ModelChange.as_view()),
]
