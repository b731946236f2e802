"""The page of forecasts: what comes next, and how far can that be believed?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import View

from apps.finance_sentiment.inference.forecasts import FORECASTER_NAMES, SeriesTooShort
from apps.finance_sentiment.models import EVERYTHING, Subject, SubjectKind
from apps.finance_sentiment.selectors.alerts import subject_label
from apps.finance_sentiment.selectors.forecasts import HOUR, MEASURES, subject_forecast
from apps.finance_sentiment.selectors.trends import DAY, subjects_known
from rootstock.tenancy.pages import RequiresMixin
from rootstock.tenancy.permissions import Permission

MEASURE_LABELS = {
    "volume": gettext_lazy("Stories"),
    "negatives": gettext_lazy("Negative stories"),
    "share": gettext_lazy("Share of negative stories"),
}
WIDTH_LABELS = {DAY: gettext_lazy("a week by the day"), HOUR: gettext_lazy("a day by the hour")}
MODEL_LABELS = {
    "mixed": gettext_lazy("Smoothing and lags, mixed"),
    "smoothing": gettext_lazy("Exponential smoothing"),
    "lags": gettext_lazy("Regression on lags"),
    "seasonal-naive": gettext_lazy("The last season again"),
}
# A list to choose from; the rest is found by address.
_SUBJECTS = 200


class ForecastView(RequiresMixin, View):
    """What will be said next, and how far is that to be believed?"""

    permission = Permission.FINANCE_READ

    def get(self, request: HttpRequest) -> HttpResponse:
        """The forecast of what the address names; what cannot be is as if it were not there."""
        subject = _subject(request.GET.get("subject", ""))
        measure = _one_of(request.GET.get("measure"), MEASURES)
        width = int(_one_of(request.GET.get("width"), [str(HOUR), str(DAY)]))
        model = _one_of(request.GET.get("model"), ["mixed", *FORECASTER_NAMES])
        data, too_short = None, ""
        try:
            made = subject_forecast(
                subject=subject, measure=measure, width=width, model=model, now=timezone.now()
            )
            data = {**made.as_json(), "label": str(MEASURE_LABELS[measure])}
        except SeriesTooShort as error:
            too_short = str(error)
        context: dict[str, Any] = {
            "data": data,
            "too_short": too_short,
            "test": data["backtest"] if data else None,
            "subjects": _subjects(subject),
            "subject": _text(subject),
            "label": subject_label(subject),
            "measures": [(name, MEASURE_LABELS[name]) for name in MEASURES],
            "measure": measure,
            "widths": list(WIDTH_LABELS.items()),
            "width": width,
            "models": list(MODEL_LABELS.items()),
            "model": model,
        }
        return render(request, "finance_sentiment/forecast.html", context)


def _one_of(value: str | None, allowed: Sequence[str]) -> str:
    return value if value is not None and value in allowed else allowed[0]


def _subject(text: str) -> Subject:
    kind, _colon, key = text[:220].replace("\x00", "").partition(":")
    return Subject(kind, key) if kind in SubjectKind.values and key else EVERYTHING


def _text(subject: Subject) -> str:
    return f"{subject.kind}:{subject.key}"


def _subjects(chosen: Subject) -> list[tuple[str, str, str]]:
    """(value, kind, label) of everything and of the known topics, sources, entities and portfolios."""
    found = [EVERYTHING, chosen]
    for kind in (
        SubjectKind.TOPIC,
        SubjectKind.SOURCE_GROUP,
        SubjectKind.ENTITY,
        SubjectKind.PORTFOLIO,
    ):
        found += [Subject(kind, key) for key in subjects_known(kind)[:_SUBJECTS]]
    labels = {SubjectKind.ALL: _("Everything"), **dict(SubjectKind.choices)}
    return [
        (_text(subject), str(labels[subject.kind]), subject_label(subject))
        for subject in dict.fromkeys(found)
    ]
