"""/public-opinion/rules/ and forecast/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.views import forecasts, rules

urlpatterns = [
    path("rules/", rules.RulesView.as_view(), name="rules"),
    path("rules/new/", rules.RuleNewView.as_view(), name="rule-new"),
    path("rules/<uuid:rule_id>/", rules.RuleView.as_view(), name="rule"),
    path("rules/<uuid:rule_id>/delete/", rules.RuleDeleteView.as_view(), name="rule-delete"),
    path("forecast/", forecasts.ForecastView.as_view(), name="forecast"),
]
