"""Are the files whole?"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from ml_core.registry import Artifact, ArtifactError
from rootstock.modelhub.gate.base import Candidate, Check, Figures, Finding, Limits, Outcome
from rootstock.modelhub.storage import StorageProblem, local_artifact


def judge(candidate: Candidate, limits: Limits, figures: Figures) -> Finding:
    """Every file of the artefact is there and has the hash that was registered."""
    version = candidate.version
    try:
        artifact = Artifact.open(local_artifact(version.artifact_path, version.digest))
    except ArtifactError as error:
        return Finding(
            Outcome.FAILED,
            gettext_noop("The files are not usable: %(problem)s"),
            {"problem": f"{error.path.name}: {error.problem}"},
        )
    except StorageProblem as error:
        return Finding(
            Outcome.FAILED,
            gettext_noop("The files are not usable: %(problem)s"),
            {"problem": str(error)},
        )
    evidence = {"digest": artifact.digest, "files": len(artifact.manifest.files)}
    if artifact.digest != version.digest:
        message = gettext_noop("The files are not the ones that were registered.")
        return Finding(Outcome.FAILED, message, evidence=evidence | {"registered": version.digest})
    return Finding(
        Outcome.PASSED, gettext_noop("All files are there and unchanged."), evidence=evidence
    )


CHECK = Check(
    key="artifact",
    title=gettext_noop("Files"),
    asks=gettext_noop("Every file is there and has the hash that was registered."),
    judge=judge,
    can_be_forced=False,
    required=True,
)
