"""What the model hub refuses, in words that say what to do. The API and the pages show them as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rootstock.common.problems import Problem


class ModelhubError(Problem):
    """A refusal: `code` for programs, the message for people, `errors` for the places at fault."""

    status = 422

    def __init__(
        self, code: str, message: str, *, errors: Sequence[Mapping[str, str]] = ()
    ) -> None:
        super().__init__(self.status, code, message, errors=errors)
        self.message = message


class Conflict(ModelhubError):
    """What is asked does not fit the present state."""

    status = 409


class PromotionRefused(Conflict):
    """The version did not pass a check; `verdicts` is the evidence."""

    def __init__(self, message: str, verdicts: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(
            "promotion-refused",
            message,
            errors=[
                {"pointer": f"/checks/{verdict['check']}", "detail": str(verdict["detail"])}
                for verdict in verdicts
                if not verdict["passed"]
            ],
        )
        self.verdicts = list(verdicts)
