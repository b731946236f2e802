"""Addresses of unanswered questions and of learning."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.api import teaching, unanswered

CLUSTER = "unanswered/<uuid:cluster_id>"

urlpatterns: list[URLPattern] = [
    path("unanswered", unanswered.ClustersView.as_view()),
    path(CLUSTER, unanswered.ClusterView.as_view()),
    path(f"{CLUSTER}/questions", unanswered.ClusterQuestionsView.as_view()),
    path(f"{CLUSTER}/answer", unanswered.ClusterAnswerView.as_view()),
    path(f"{CLUSTER}/ignore", unanswered.ClusterIgnoreView.as_view()),
    path(f"{CLUSTER}/merge", unanswered.ClusterMergeView.as_view()),
    path(f"{CLUSTER}/split", unanswered.ClusterSplitView.as_view()),
    path("learning", teaching.LessonsView.as_view()),
    path("learning/<str:model>", teaching.LessonView.as_view()),
    path("learning/<str:model>/<slug:step>", teaching.LessonStepView.as_view()),
]
