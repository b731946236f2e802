"""All addresses of the web process: pages, REST, operations."""

from __future__ import annotations

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from rootstock.common import operations

api = [
    path("", include("rootstock.accounts.api.urls")),
    path("", include("rootstock.audit.api.urls")),
    path("", include("rootstock.outbox.api.urls")),
    path("jobs/", include("rootstock.jobs.api.urls")),
    path("events/", include("rootstock.realtime.api.urls")),
    path("webhooks/", include("rootstock.webhooks.api.urls")),
    path("models/", include("rootstock.modelhub.api.urls")),
    path("vectors/", include("rootstock.vectors.api.urls")),
    path("", include("rootstock.gateway.api.urls")),
    path("service/", include("apps.customer_service.api.urls")),
    path("finance/", include("apps.finance_sentiment.api.urls")),
]

urlpatterns = [
    path("healthz", operations.healthz, name="healthz"),
    path("readyz", operations.readyz, name="readyz"),
    path("metrics", operations.metrics, name="metrics"),
    path("api/v1/", include(api)),
    path("api/openai/v1/", include("rootstock.gateway.openai.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("rootstock.accounts.urls")),
    path("", include("rootstock.audit.urls")),
    path("", include("rootstock.webhooks.urls")),
    path("models/collections/", include("rootstock.vectors.urls")),
    path("models/", include("rootstock.modelhub.urls")),
    path("models/", include("rootstock.gateway.urls")),
    path("service/", include("apps.customer_service.urls")),
    path("widget/", include("apps.customer_service.widget.urls")),
    path("public-opinion/", include("apps.finance_sentiment.urls")),
    path("", include("rootstock.web.urls")),
]

handler400 = "rootstock.web.views.bad_request"
handler403 = "rootstock.web.views.permission_denied"
handler404 = "rootstock.web.views.page_not_found"
handler500 = "rootstock.web.views.server_error"
