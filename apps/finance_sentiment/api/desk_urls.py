"""/api/v1/finance/: search, board, views, portfolios, prices"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.api import board, prices, saved_views, search

urlpatterns = [
    path("board", board.BoardView.as_view()),
    path("instruments/<uuid:instrument_id>/prices", prices.PricesView.as_view()),
    path("search", search.SearchView.as_view()),
    path("views", saved_views.SavedViewsView.as_view()),
    path("views/<uuid:finance_view_id>", saved_views.SavedViewView.as_view()),
]
