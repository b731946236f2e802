"""What a check is: a question to a version, its limits, and the words of the answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext

from ml_core.evaluation import Answers
from rootstock.modelhub.models import AnswerSheet, Deployment, ModelVersion, Snapshot, Split
from rootstock.modelhub.policies import Limit
from rootstock.modelhub.storage import local_file

# The limits of a check in force: {"allowed_loss_points": 1.0}.
Limits = Mapping[str, float]
Report = Mapping[str, Any]


class Outcome(StrEnum):
    """How a check can end. Only the first two of them let a version through."""

    PASSED = "passed"
    NOT_APPLICABLE = "not-applicable"
    FAILED = "failed"
    NOT_MEASURED = "not-measured"


PASSING = frozenset({Outcome.PASSED, Outcome.NOT_APPLICABLE})


@dataclass(frozen=True)
class Candidate:
    """A version on its way to a deployment; `deployment` is None when the slot is new.

    `ancestors` are the versions it was trained from, its parent first, with their snapshots.
    """

    version: ModelVersion
    name: str
    deployment: Deployment | None = None
    ancestors: Sequence[ModelVersion] = ()

    @property
    def deployed(self) -> ModelVersion | None:
        """The version that answers now, unless it is the candidate itself."""
        if self.deployment is None or self.deployment.version_id == self.version.pk:
            return None
        return self.deployment.version


@dataclass(frozen=True)
class Need:
    """A report that a check looks at: of a version on one part of a snapshot."""

    version: ModelVersion
    snapshot: Snapshot
    split: str

    @property
    def key(self) -> tuple[uuid.UUID, uuid.UUID, str]:
        """What makes two needs the same."""
        return (self.version.pk, self.snapshot.pk, self.split)


@dataclass
class Figures:
    """The reports that are there, why others are not, and where the answers row by row are."""

    reports: dict[tuple[uuid.UUID, uuid.UUID, str], Report] = field(default_factory=dict)
    problems: dict[tuple[uuid.UUID, uuid.UUID, str], str] = field(default_factory=dict)
    sheets: dict[tuple[uuid.UUID, uuid.UUID, str], AnswerSheet] = field(default_factory=dict)

    def report(self, need: Need) -> Report | None:
        """The report, or None when it was not measured."""
        return self.reports.get(need.key)

    def problem(self, need: Need) -> str:
        """Why it could not be measured; empty when nobody has tried."""
        return self.problems.get(need.key, "")

    def answers(self, need: Need) -> Answers | None:
        """What was answered row by row, or None when that was not kept.

        Raises:
            StorageProblem, ValueError, OSError: it was kept, but cannot be read.
        """
        sheet = self.sheets.get(need.key)
        return None if sheet is None else Answers.read(local_file(sheet.path, sheet.sha256))


@dataclass(frozen=True)
class Finding:
    """What a check says. `message` is an English text with %(names)s of `params`; pages translate it."""

    outcome: Outcome
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    # Only to differ from what the check says of itself.
    can_be_forced: bool | None = None


Judge = Callable[[Candidate, Limits, Figures], Finding]


def _nothing(_candidate: Candidate) -> list[Need]:
    return []


@dataclass(frozen=True)
class Check:
    """One question of the gate.

    `title` and `asks` are English texts that pages translate; `asks` may name limits as %(key)s. `needs` lists the
    reports that `judge` looks at, so that those which are missing can be measured before. `judge` reads no row of
    the database: it may run for a while, outside any transaction. It is asked only when the checks named in `after`
    have passed. `required`: it protects serving, so no policy switches it off and a roll-back makes it as well.
    """

    key: str
    title: str
    asks: str
    judge: Judge
    limits: tuple[Limit, ...] = ()
    needs: Callable[[Candidate], list[Need]] = _nothing
    after: tuple[str, ...] = ()
    can_be_forced: bool = True
    required: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a check found, with the figures behind it: what is stored and shown."""

    check: str
    outcome: Outcome
    asks: str
    limits: Mapping[str, float]
    message: str
    params: Mapping[str, Any]
    evidence: Mapping[str, Any]
    can_be_forced: bool

    @property
    def passed(self) -> bool:
        """Whether it lets the version through."""
        return self.outcome in PASSING

    @property
    def detail(self) -> str:
        """The finding in the language of the moment."""
        return filled(self.message, self.params)

    def to_dict(self) -> dict[str, Any]:
        """A JSON value; `detail` and `asked` are the texts as they read now."""
        return {
            "check": self.check,
            "verdict": str(self.outcome),
            "passed": self.passed,
            "can_be_forced": self.can_be_forced,
            "asks": self.asks,
            "asked": filled(self.asks, _shown(self.limits)),
            "limits": dict(self.limits),
            "message": self.message,
            "params": dict(self.params),
            "detail": self.detail,
            "evidence": dict(self.evidence),
        }


def words(text: str) -> str:
    """A title or unit of a check in the language of the moment."""
    return gettext(text) if text else ""


def filled(message: str, params: Mapping[str, Any]) -> str:
    """A stored text in the language of the moment."""
    values = dict(params)
    if values.get("split") in Split.values:
        values["split"] = str(Split(values["split"]).label).lower()
    return gettext(message) % values if message else ""


def asked(check: Check, limits: Limits) -> str:
    """What a check asks, with its limits, in the language of the moment."""
    return filled(check.asks, _shown(limits))


def asked_again(verdict: Mapping[str, Any]) -> str:
    """What a stored verdict's check asked, in the language of the moment."""
    if "asks" not in verdict:
        return ""
    return filled(verdict["asks"], _shown(verdict.get("limits", {})))


def detail_again(verdict: Mapping[str, Any]) -> str:
    """What a stored verdict found, in the language of the moment."""
    if "message" not in verdict:
        return str(verdict.get("detail", ""))
    return filled(verdict["message"], verdict.get("params", {}))


def measured_split(snapshot: Snapshot) -> str:
    """The part of a snapshot that says most: test, or validation when there is no test part."""
    rows = snapshot.split_counts.get(Split.TEST) or snapshot.label_counts.get(Split.TEST)
    return str(Split.TEST if rows else Split.VALIDATION)


def own_need(version: ModelVersion) -> Need | None:
    """The report of a version on its own snapshot, on the part that says most and has figures."""
    if version.snapshot is None:
        return None
    for split in (Split.TEST, Split.VALIDATION):
        if version.metrics.get(split):
            return Need(version, version.snapshot, str(split))
    return Need(version, version.snapshot, measured_split(version.snapshot))


def _shown(limits: Mapping[str, float]) -> dict[str, str]:
    """Limits as people write them: 1000, 0.15."""
    return {key: f"{value:.10g}" for key, value in limits.items()}
