"""/api/v1/finance/rules and forecast"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.api import forecasts, rules

urlpatterns = [
    path("rules", rules.RulesView.as_view()),
    path("rules/preview", rules.RulePreviewView.as_view()),
    path("rules/<uuid:rule_id>", rules.RuleView.as_view()),
    path("forecast", forecasts.ForecastView.as_view()),
    path("forecast/direction", forecasts.DirectionView.as_view()),
]
