"""/public-opinion/portfolios/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.views import portfolios as views

urlpatterns = [
    path("portfolios/", views.portfolio_list, name="portfolios"),
    path("portfolios/new/", views.portfolio_new, name="portfolio-new"),
    path("portfolios/<uuid:portfolio_id>/", views.portfolio_detail, name="portfolio"),
    path("portfolios/<uuid:portfolio_id>/find/", views.portfolio_find, name="portfolio-find"),
    path("portfolios/<uuid:portfolio_id>/remove/", views.portfolio_remove, name="portfolio-remove"),
    path(
        "portfolios/<uuid:portfolio_id>/holdings/<uuid:holding_id>/remove/",
        views.holding_take_out,
        name="holding-remove",
    ),
]
