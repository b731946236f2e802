"""What other parts do when something happens to a conversation.

Each list holds functions that are called inside the transaction of the change, with the conversation's row locked and
before it is saved: a hook may set fields of the conversation, which are saved after it. Hooks are added once, in the
`register` of a part.
"""

from __future__ import annotations

from collections.abc import Callable

from apps.customer_service.models import Conversation, Message, UnansweredQuestion
from rootstock.common.actors import Actor

# (conversation, its message): a visitor waits for a person. Without a message it is the hand-off itself.
on_visitor_waiting: list[Callable[[Conversation, Message | None], None]] = []
# (conversation, the reply): a person answered.
on_agent_reply: list[Callable[[Conversation, Message], None]] = []
# (conversation, the status before, who did it)
on_status_changed: list[Callable[[Conversation, str, Actor], None]] = []
# (conversation, the message that was rated; None: the whole conversation was)
on_rated: list[Callable[[Conversation, Message | None], None]] = []
# (the question): the assistant had no answer to it. It is no change of a conversation.
on_unanswered: list[Callable[[UnansweredQuestion], None]] = []
