"""/api/v1/service/"""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("apps.customer_service.api.channel_urls")),
    path("", include("apps.customer_service.api.conversation_urls")),
    path("", include("apps.customer_service.api.desk_urls")),
    path("", include("apps.customer_service.api.knowledge_urls")),
    path("", include("apps.customer_service.api.answering_urls")),
    path("", include("apps.customer_service.api.flow_urls")),
    path("", include("apps.customer_service.api.dialogue_urls")),
    path("", include("apps.customer_service.api.learning_urls")),
]
