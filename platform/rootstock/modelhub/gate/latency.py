"""Does it answer fast enough, on the machine that serves?"""

from __future__ import annotations

import json
import statistics
from itertools import islice

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate.base import (
    Candidate,
    Check,
    Figures,
    Finding,
    Limits,
    Outcome,
    measured_split,
)
from rootstock.modelhub.inference import InferenceUnavailable, ModelUnusable, answer_times
from rootstock.modelhub.models import ModelVersion, Task
from rootstock.modelhub.policies import Limit
from rootstock.modelhub.storage import absolute_path

P95 = Limit("largest_p95_ms", gettext_noop("Slowest of 95 in 100 answers"), 500, 1, 600_000, "ms")
# Twenty answers are the fewest of which a 95th percentile says something.
CALLS = 40
WARM_UP = 3
# For a version that belongs to no snapshot: a short and a longer text.
_TEXTS = (
    "The delivery arrived on time.",
    "The company said on Monday that revenue in the third quarter rose by eight per cent, helped by strong demand "
    "in Europe, while costs for energy and transport weighed on its margin.",
)


def judge(candidate: Candidate, limits: Limits, figures: Figures) -> Finding:
    """The 95th percentile of the time of one text, asked one after the other."""
    version = candidate.version
    if version.task != Task.TEXT_CLASSIFICATION:
        message = gettext_noop("Only versions that classify texts are asked in this way.")
        return Finding(Outcome.NOT_APPLICABLE, message)
    texts = _sample(version)
    try:
        times = answer_times(
            version.artifact_path,
            [texts[place % len(texts)] for place in range(WARM_UP + CALLS)],
            digest=version.digest,
        )[WARM_UP:]
    except (InferenceUnavailable, ModelUnusable) as error:
        message = gettext_noop("The inference process did not answer: %(problem)s")
        return Finding(Outcome.NOT_MEASURED, message, {"problem": str(error)})
    p95 = statistics.quantiles(times, n=20)[-1] * 1000
    median = statistics.median(times) * 1000
    return Finding(
        Outcome.PASSED if p95 <= limits[P95.key] else Outcome.FAILED,
        gettext_noop("95 of 100 answers within %(p95)s ms, half of them within %(median)s ms."),
        {"p95": f"{p95:.1f}", "median": f"{median:.1f}"},
        {
            "p95_ms": round(p95, 2),
            "median_ms": round(median, 2),
            "texts": len(texts),
            "calls": CALLS,
        },
    )


def _sample(version: ModelVersion) -> list[str]:
    """Texts of the version's own snapshot, or two of ours."""
    if version.snapshot is None:
        return list(_TEXTS)
    path = absolute_path(version.snapshot.path) / f"{measured_split(version.snapshot)}.jsonl"
    if not path.is_file():
        return list(_TEXTS)
    with path.open(encoding="utf-8") as lines:
        found = [json.loads(line).get("text", "") for line in islice(lines, CALLS)]
    return [text for text in found if text] or list(_TEXTS)


CHECK = Check(
    key="latency",
    title=gettext_noop("Latency"),
    asks=gettext_noop("95 of 100 single texts are answered within %(largest_p95_ms)s ms."),
    judge=judge,
    limits=(P95,),
    after=("artifact", "loads"),
)
