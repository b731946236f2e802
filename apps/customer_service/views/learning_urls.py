"""Addresses of the pages of unanswered questions and of learning."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.views import teaching, unanswered

CLUSTER = "unanswered/<uuid:cluster_id>/"

urlpatterns: list[URLPattern] = [
    path("unanswered/", unanswered.unanswered_list, name="unanswered"),
    path("unanswered/list/", unanswered.unanswered_rows, name="unanswered-rows"),
    path(CLUSTER, unanswered.unanswered_cluster, name="unanswered-cluster"),
    path(f"{CLUSTER}ignore/", unanswered.unanswered_ignore, name="unanswered-ignore"),
    path(f"{CLUSTER}merge/", unanswered.unanswered_merge, name="unanswered-merge"),
    path(f"{CLUSTER}split/", unanswered.unanswered_split, name="unanswered-split"),
    path("learning/", teaching.learning, name="learning"),
    path("learning/models/", teaching.learning_models, name="learning-models"),
    path("learning/step/", teaching.learning_step, name="learning-step"),
]
