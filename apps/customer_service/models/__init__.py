"""Rows of the customer service."""

from __future__ import annotations

from apps.customer_service.models.channels import (
    PUBLIC_AUDIENCE,
    UNMASKABLE,
    Assistant,
    Channel,
    Visitor,
)
from apps.customer_service.models.conversations import (
    Attachment,
    Conversation,
    ConversationEntry,
    Emotion,
    Message,
    MessageWords,
)
from apps.customer_service.models.desk import (
    AgentProfile,
    CannedReply,
    ConversationLabel,
    Macro,
    MinedPair,
    SavedView,
    SlaPolicy,
    Suggestion,
)
from apps.customer_service.models.flows import (
    ActionCall,
    BusinessAction,
    Flow,
    FlowRun,
    FlowVersion,
)
from apps.customer_service.models.knowledge import (
    Answer,
    Document,
    EvaluationQuestion,
    EvaluationRun,
    Passage,
    Release,
    Source,
    UnansweredCluster,
    UnansweredQuestion,
)

__all__ = [
    "PUBLIC_AUDIENCE",
    "UNMASKABLE",
    "ActionCall",
    "AgentProfile",
    "Answer",
    "Assistant",
    "Attachment",
    "BusinessAction",
    "CannedReply",
    "Channel",
    "Conversation",
    "ConversationEntry",
    "ConversationLabel",
    "Document",
    "Emotion",
    "EvaluationQuestion",
    "EvaluationRun",
    "Flow",
    "FlowRun",
    "FlowVersion",
    "Macro",
    "Message",
    "MessageWords",
    "MinedPair",
    "Passage",
    "Release",
    "SavedView",
    "SlaPolicy",
    "Source",
    "Suggestion",
    "UnansweredCluster",
    "UnansweredQuestion",
    "Visitor",
]
