"""/widget/: what pages of other sites load."""

from __future__ import annotations

from django.urls import include, path

from apps.customer_service.widget import files, views

app_name = "widget"
urlpatterns = [
    path("api/<slug:key>/", include("apps.customer_service.widget.api_urls")),
    path("files/<str:signed>", files.file_read, name="file"),
    path("<slug:key>/loader.js", views.loader, name="loader"),
    path("<slug:key>/frame", views.frame, name="frame"),
]
