"""/service/"""

from __future__ import annotations

from django.urls import include, path

app_name = "service"
urlpatterns = [
    path("", include("apps.customer_service.views.desk_urls")),
    path("", include("apps.customer_service.views.knowledge_urls")),
    path("", include("apps.customer_service.views.answering_urls")),
    path("", include("apps.customer_service.views.flow_urls")),
    path("", include("apps.customer_service.views.learning_urls")),
    path("", include("apps.customer_service.views.dialogue_urls")),
    path("", include("apps.customer_service.views.channel_urls")),
]
