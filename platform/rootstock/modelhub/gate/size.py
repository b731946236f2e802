"""Is it small enough for the machines that serve it?"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate.base import Candidate, Check, Figures, Finding, Limits, Outcome
from rootstock.modelhub.policies import Limit

MEGABYTES = Limit("largest_megabytes", gettext_noop("Largest size"), 2000, 1, 10_000_000, "MB")


def judge(candidate: Candidate, limits: Limits, figures: Figures) -> Finding:
    """The files together are within the limit; a megabyte is a million bytes."""
    size = candidate.version.size_bytes
    return Finding(
        Outcome.PASSED if size <= limits[MEGABYTES.key] * 1e6 else Outcome.FAILED,
        gettext_noop("%(megabytes)s MB."),
        {"megabytes": f"{size / 1e6:,.1f}"},
        {"bytes": size},
    )


CHECK = Check(
    key="size",
    title=gettext_noop("Size"),
    asks=gettext_noop("At most %(largest_megabytes)s MB of files."),
    judge=judge,
    limits=(MEGABYTES,),
)
