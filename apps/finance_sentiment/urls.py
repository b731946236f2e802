"""/public-opinion/"""

from __future__ import annotations

from django.urls import include, path

from apps.finance_sentiment import views

app_name = "finance"
urlpatterns = [
    path("", views.LiveView.as_view(), name="live"),
    path("", include("apps.finance_sentiment.views.alerting_urls")),
    path("", include("apps.finance_sentiment.views.source_urls")),
    path("", include("apps.finance_sentiment.views.entity_urls")),
    path("import/", views.ImportView.as_view(), name="import"),
    path("", include("apps.finance_sentiment.views.signal_urls")),
    path("", include("apps.finance_sentiment.views.search_urls")),
    path("", include("apps.finance_sentiment.views.thread_urls")),
    path("", include("apps.finance_sentiment.views.portfolio_urls")),
    path("", include("apps.finance_sentiment.views.loop_urls")),
    path("", include("apps.finance_sentiment.views.report_urls")),
]
