"""The base fine-tuned by `python -m ml_core train`, beside the same network from random weights."""

from __future__ import annotations

from typing import Any

from bench.base_tasks import texts
from bench.base_tasks.encoders import Encoder
from bench.base_tasks.figures import row
from bench.harness import Progress, Row
from bench.training.runs import train_and_test
from ml_core.evaluation import Interval

DATA = ("ChnSentiCorp", "TNEWS", "FinFE")
WEIGHTS = ("pretrained", "random")
_LENGTHS = {"ChnSentiCorp": 128, "TNEWS": 48, "FinFE": 64}
_OPTIONS: dict[str, dict[str, Any]] = {
    "pretrained": {"epochs": 4, "learning_rate": 1e-4},
    # It has all to learn: more epochs and larger steps, the best epoch by the validation part.
    "random": {"epochs": 8, "learning_rate": 5e-4},
}
# A 95 % interval is this many standard errors wide.
_WIDTH = 3.92


def fine_tuned(encoder: Encoder, data: str, weights: str, progress: Progress) -> list[Row]:
    """Accuracy and macro F1 on the test part."""
    options = {
        **_OPTIONS[weights], "base": encoder.base, "weights": weights, "max_length": _LENGTHS[data],
        "calibration": "none", "languages": "zh",
    }  # fmt: skip
    outcome = train_and_test(options, texts.SPLITS[data](), progress)
    report = outcome.report
    shown = "fine-tuned" if weights == "pretrained" else "from random weights"
    return [
        row(f"{data}, {shown}", figure, report[key], Interval(**report[f"{key}_interval"]), report["count"])
        | {"seconds": outcome.seconds}
        for figure, key in (("accuracy", "accuracy"), ("macro F1", "macro_f1"))
    ]  # fmt: skip


def averages(rows: list[Row]) -> list[Row]:
    """The mean accuracy over the three sets for each model that has all six: fine-tuned and from random weights. The
    sets are independent, so the standard errors of the mean add up as squares."""
    found = []
    for model in dict.fromkeys(each["model"] for each in rows):
        for shown in ("fine-tuned", "from random weights"):
            own = [
                each
                for each in rows
                if each["model"] == model
                and each["figure"] == "accuracy"
                and each["data"] in {f"{name}, {shown}" for name in DATA}
            ]
            if len(own) < len(DATA):
                continue
            mean = sum(each["value"] for each in own) / len(own)
            errors = [(each["high"] - each["low"]) / _WIDTH for each in own]
            half = _WIDTH / 2 * sum(error**2 for error in errors) ** 0.5 / len(own)
            interval = Interval(mean - half, mean + half)
            count = sum(each["count"] for each in own)
            found.append(
                {**own[-1], "seconds": None}
                | row(f"mean of the three, {shown}", "accuracy", mean, interval, count)
            )
    return found
