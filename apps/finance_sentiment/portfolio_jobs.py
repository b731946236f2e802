"""Long work on portfolios: counting the past of one again."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils.translation import gettext_noop

from apps.finance_sentiment.services.portfolio_counts import (
    CHUNK,
    KIND,
    portfolio_counted,
    portfolio_moments,
    portfolio_recount,
)
from rootstock.jobs.runner import JobContext, job_kind


@job_kind(KIND, resumable=True)
def recount(context: JobContext) -> dict[str, Any]:
    """Count every bucket of a portfolio with its present members; again from the start when taken over."""
    portfolio = uuid.UUID(context.params["portfolio"])
    with context.scope():
        moments = portfolio_moments(portfolio=portfolio)
    for place in range(0, len(moments), CHUNK):
        with context.scope():
            portfolio_recount(portfolio=portfolio, moments=moments[place : place + CHUNK])
        context.progress(
            fraction=min(1.0, (place + CHUNK) / len(moments)),
            phase=gettext_noop("counting stories"),
            message=f"{min(place + CHUNK, len(moments))} / {len(moments)}",
        )
    with context.scope():
        portfolio_counted(portfolio=portfolio)
    return {"moments": len(moments)}
