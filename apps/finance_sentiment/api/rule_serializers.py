"""What the API takes and gives of rules, previews and forecasts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.finance_sentiment.api.alert_serializers import SubjectOutput
from apps.finance_sentiment.inference import DETECTOR_NAMES
from apps.finance_sentiment.inference.forecasts import FORECASTER_NAMES
from apps.finance_sentiment.models import Rule, SubjectKind
from apps.finance_sentiment.selectors.forecasts import HOUR, MEASURES
from apps.finance_sentiment.selectors.trends import DAY

_FIELDS = [
    "name", "enabled", "scope", "key", "measure", "detector", "parameters", "bucket_seconds", "window",
    "minimum_total", "minimum_negative", "count_factor", "share_gain", "threshold", "share_significance", "pending",
    "clear_ratio", "recovery", "minimum_firing",
]  # fmt: skip


class RuleFigures(serializers.Serializer[Any]):
    """What a rule looks at. Durations are numbers of buckets; what is left out has the default of its detector."""

    scope = serializers.ChoiceField(SubjectKind.values, default=SubjectKind.TOPIC.value)
    key = serializers.CharField(
        max_length=200,
        allow_blank=True,
        default="",
        help_text="Of one subject: a topic's label, an entity's or a portfolio's id, a source's name. "
        "Empty: each by itself.",
    )
    measure = serializers.ChoiceField(Rule.Measure.values, default=Rule.Measure.NEGATIVES.value)
    detector = serializers.ChoiceField(DETECTOR_NAMES, required=False)
    parameters = serializers.DictField(
        child=serializers.JSONField(), default=dict, help_text="Of the detector alone."
    )
    bucket_seconds = serializers.ChoiceField(
        Rule.Bucket.values, default=Rule.Bucket.ONE_MINUTE.value
    )
    window = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    minimum_total = serializers.IntegerField(min_value=1, max_value=100_000, required=False)
    minimum_negative = serializers.IntegerField(min_value=1, max_value=100_000, required=False)
    count_factor = serializers.FloatField(min_value=1, max_value=1000, required=False)
    share_gain = serializers.FloatField(min_value=0, max_value=1, required=False)
    threshold = serializers.FloatField(
        min_value=0.1, max_value=1000, required=False, help_text="In the detector's own unit."
    )
    share_significance = serializers.FloatField(min_value=0.1, max_value=100, required=False)
    pending = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    clear_ratio = serializers.FloatField(
        min_value=0.05,
        max_value=1,
        required=False,
        help_text="The part of the threshold below which an alert starts to clear.",
    )
    recovery = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    minimum_firing = serializers.IntegerField(min_value=0, max_value=1000, required=False)


class RuleInput(RuleFigures):
    """A rule."""

    name = serializers.CharField(max_length=80)
    enabled = serializers.BooleanField(default=True)


class RuleOutput(serializers.ModelSerializer[Rule]):
    """A rule."""

    class Meta:
        model = Rule
        fields = ["id", *_FIELDS, "created_at", "updated_at"]


class RulePageOutput(serializers.Serializer[Any]):
    """A page of rules."""

    results = RuleOutput(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class PreviewInput(RuleFigures):
    """A rule that need not be stored, and the history that it is tried on."""

    since = serializers.DateTimeField(required=False, help_text="30 days before `until`.")
    until = serializers.DateTimeField(required=False, help_text="Now.")
    shown_kind = serializers.ChoiceField(SubjectKind.values, required=False)
    shown_key = serializers.CharField(
        max_length=200, allow_blank=True, required=False, help_text="Whose series is wanted."
    )


class WouldBeAlertOutput(serializers.Serializer[Any]):
    """An alert that the rule would have raised."""

    subject = SubjectOutput()
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    peak = serializers.IntegerField()
    expected = serializers.FloatField()
    share = serializers.FloatField()


class PreviewSubjectOutput(SubjectOutput):
    """A subject that the rule would have judged."""

    alerts = serializers.IntegerField()


class PreviewPointOutput(serializers.Serializer[Any]):
    """A window of the series."""

    start = serializers.DateTimeField()
    observed = serializers.IntegerField()
    expected = serializers.FloatField()
    total = serializers.IntegerField()
    score = serializers.FloatField(help_text="1 is the threshold.")
    open = serializers.BooleanField(help_text="Whether an alert would have been open.")


class PreviewOutput(serializers.Serializer[Any]):
    """What the rule would have done."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    learning_until = serializers.DateTimeField(
        allow_null=True, help_text="Before it too little was known to judge."
    )
    total = serializers.IntegerField(help_text="How many alerts.")
    alerts = WouldBeAlertOutput(many=True)
    subjects = PreviewSubjectOutput(many=True)
    left_out = serializers.IntegerField(
        help_text="Subjects that were not judged, because it would have taken too long."
    )
    shown = SubjectOutput(allow_null=True)
    series = PreviewPointOutput(many=True)


class ForecastFilter(serializers.Serializer[Any]):
    """Which forecast."""

    kind = serializers.ChoiceField(SubjectKind.values, default=SubjectKind.ALL.value)
    key = serializers.CharField(max_length=200, allow_blank=True, default="")
    measure = serializers.ChoiceField(MEASURES, default="volume")
    width = serializers.ChoiceField((HOUR, DAY), default=DAY, help_text="Seconds of a value.")
    model = serializers.ChoiceField(FORECASTER_NAMES, default="mixed")


class ForecastPointOutput(serializers.Serializer[Any]):
    """A value ahead with its interval."""

    start = serializers.DateTimeField()
    middle = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class HistoryPointOutput(ForecastPointOutput):
    """A value that is known, with what was forecast for it one step before."""

    value = serializers.FloatField()


class BacktestOutput(serializers.Serializer[Any]):
    """What forecasts of this kind were worth on this series."""

    mase = serializers.FloatField(help_text="Mean absolute scaled error of up to a season ahead.")
    naive_mase = serializers.FloatField(help_text="The same of repeating the last season.")
    skill = serializers.FloatField(help_text="0 is as good as repeating the last season.")
    coverage = serializers.FloatField(
        allow_null=True, help_text="The part of the values that lay inside their interval."
    )
    level = serializers.FloatField(help_text="The part that should have.")
    origins = serializers.IntegerField()
    values = serializers.IntegerField()


class ForecastOutput(serializers.Serializer[Any]):
    """A forecast with its backtest."""

    kind = serializers.ChoiceField(SubjectKind.values)
    key = serializers.CharField(allow_blank=True)
    measure = serializers.ChoiceField(MEASURES)
    width = serializers.IntegerField()
    model = serializers.CharField()
    history = HistoryPointOutput(many=True)
    ahead = ForecastPointOutput(many=True)
    backtest = BacktestOutput()


class PriceInput(serializers.Serializer[Any]):
    """A day's closing price."""

    day = serializers.DateField()
    close = serializers.FloatField(min_value=1e-6, max_value=1e12)


class DirectionInput(serializers.Serializer[Any]):
    """A subject and its prices."""

    kind = serializers.ChoiceField(SubjectKind.values, default=SubjectKind.ALL.value)
    key = serializers.CharField(max_length=200, allow_blank=True, default="")
    prices = serializers.ListField(child=PriceInput(), max_length=2000)


class DirectionOutput(serializers.Serializer[Any]):
    """How often the direction would have been said right."""

    accuracy = serializers.FloatField()
    low = serializers.FloatField(help_text="Of the accuracy at 95 %.")
    high = serializers.FloatField()
    mcc = serializers.FloatField()
    majority = serializers.FloatField(help_text="Right as often by always saying the same.")
    rows = serializers.IntegerField()
