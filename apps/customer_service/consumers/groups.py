"""What is said through the channel layer about a conversation and kept nowhere: who looks, who types.

A group for each conversation. Everybody in it hears everything; what a visitor may know is decided by the visitor's
socket: of these messages `talk.typing` with side "people", and of it the name.

    {"type": "talk.typing", "conversation": id, "side": "visitor" | "people", "member": id | None, "name": text}
    {"type": "talk.presence", "conversation": id, "member": id, "name": text, "here": bool, "hello": bool}
"""

from __future__ import annotations

import uuid

TYPING = "talk.typing"
PRESENCE = "talk.presence"


def talk_group(organisation_id: uuid.UUID, conversation_id: uuid.UUID) -> str:
    """The group of a conversation."""
    return f"{organisation_id.hex}.service.talk.{conversation_id.hex}"
