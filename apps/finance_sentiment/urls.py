"""/public-opinion/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment import views

app_name = "finance"
urlpatterns = [
    path("", views.LiveView.as_view(), name="live"),
    path("alerts/", views.AlertsView.as_view(), name="alerts"),
    path("alerts/<uuid:alert_id>/", views.AlertView.as_view(), name="alert"),
    path("sources/", views.SourcesView.as_view(), name="sources"),
    path("import/", views.ImportView.as_view(), name="import"),
    path("rule/", views.RuleView.as_view(), name="rule"),
]
