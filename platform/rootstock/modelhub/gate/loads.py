"""Can the inference process use it?"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate.base import Candidate, Check, Figures, Finding, Limits, Outcome
from rootstock.modelhub.inference import InferenceUnavailable, ModelUnusable, load_version


def judge(candidate: Candidate, limits: Limits, figures: Figures) -> Finding:
    """The inference process can load it; from then on it is warm."""
    version = candidate.version
    try:
        info = load_version(version.artifact_path, version.digest)
    except InferenceUnavailable as error:
        message = gettext_noop(
            "The inference process does not answer, so nobody knows whether it loads: %(problem)s"
        )
        return Finding(Outcome.NOT_MEASURED, message, {"problem": str(error)})
    except ModelUnusable as error:
        message = gettext_noop("The inference process cannot load it: %(problem)s")
        return Finding(Outcome.FAILED, message, {"problem": str(error)})
    if info.digest != version.digest:
        message = gettext_noop("The inference process loaded other files.")
        return Finding(Outcome.FAILED, message, evidence={"loaded": info.digest})
    return Finding(Outcome.PASSED, gettext_noop("The inference process has loaded it."))


CHECK = Check(
    key="loads",
    title=gettext_noop("Loading"),
    asks=gettext_noop("The inference process loads it."),
    judge=judge,
    after=("artifact",),
    can_be_forced=False,
    required=True,
)
