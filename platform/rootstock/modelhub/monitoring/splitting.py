"""Which texts a canary answers: always the same ones, so that nobody gets two answers to one question."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class CanaryNote:
    """Said of an answer whose text fell to the canary: which version that is and how long its call took.

    `failed`: the canary could not answer, the deployed version did.
    """

    version_id: uuid.UUID
    labels: tuple[str, ...]
    seconds: float
    failed: bool = False


def falls_to_canary(deployment_id: uuid.UUID, text: str, share: float) -> bool:
    """Whether a text belongs to the share that a canary answers.

    By SHA-256 of the deployment and the text, so that it is the same in every process and for every canary of the
    deployment, and a larger share contains the smaller.
    """
    digest = hashlib.sha256(deployment_id.bytes + text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
