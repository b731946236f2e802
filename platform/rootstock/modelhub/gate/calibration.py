"""Does “90 % sure” mean right nine times out of ten?"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate.base import Check, Finding, Limits, Outcome, Report
from rootstock.modelhub.gate.figures import (
    fewest_examples,
    needs_own,
    number,
    of_own_report,
    written,
)
from rootstock.modelhub.policies import Limit

ECE = Limit("largest_ece", gettext_noop("Largest calibration error"), 0.15, 0.0, 1.0)
# With few examples the estimate itself is far above zero, however well a model is calibrated.
EXAMPLES = fewest_examples(gettext_noop("Measured on at least"), 100)


@of_own_report
def judge(report: Report, split: str, limits: Limits) -> Finding:
    """The expected calibration error on examples it has not learned from is within the limit."""
    error = number(report, "ece")
    if error is None:
        message = gettext_noop(
            "The report has no calibration error: the task has no probabilities."
        )
        return Finding(Outcome.NOT_APPLICABLE, message)
    count = int(number(report, "count") or 0)
    evidence = {"ece": error, "count": count, "split": split}
    if count < limits[EXAMPLES.key]:
        message = gettext_noop(
            "%(count)s examples are too few to tell: %(ece)s on the %(split)s part."
        )
        values = {"count": count, "ece": written(error), "split": split}
        return Finding(Outcome.NOT_APPLICABLE, message, values, evidence)
    return Finding(
        Outcome.PASSED if error <= limits[ECE.key] else Outcome.FAILED,
        gettext_noop("%(ece)s on %(count)s examples of the %(split)s part."),
        {"ece": written(error), "count": count, "split": split},
        evidence,
    )


CHECK = Check(
    key="calibration",
    title=gettext_noop("Calibration"),
    asks=gettext_noop("Expected calibration error at most %(largest_ece)s."),
    judge=judge,
    limits=(ECE, EXAMPLES),
    needs=needs_own,
)
