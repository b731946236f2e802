"""/api/v1/finance/: search, board, views, portfolios, prices"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.api import board, search

urlpatterns = [
    path("board", board.BoardView.as_view()),
    path("search", search.SearchView.as_view()),
]
