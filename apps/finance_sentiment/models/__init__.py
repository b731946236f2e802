"""Rows of the public-opinion monitor."""

from __future__ import annotations

from apps.finance_sentiment.models.alerting import (
    AlertChannel,
    AlertPolicy,
    AlertRoute,
    EscalationChain,
    EscalationStep,
    Medium,
    NoticeSettings,
    Silence,
)
from apps.finance_sentiment.models.alerts import (
    Alert,
    AlertEntry,
    AlertGroup,
    Notification,
    NotificationAttempt,
)
from apps.finance_sentiment.models.desk import (
    DocumentWords,
    Holding,
    Portfolio,
    Price,
    SavedView,
)
from apps.finance_sentiment.models.documents import Document, Sentiment, Story, StoryBand
from apps.finance_sentiment.models.entities import Alias, Entity, EntityKind, Instrument, Mention
from apps.finance_sentiment.models.loop import (
    DocumentLabel,
    LabelCandidate,
    LabelReason,
    LoopCycle,
    LoopHead,
    LoopSettings,
    Question,
)
from apps.finance_sentiment.models.reports import (
    DailyReport,
    ReportSettings,
    ReportSubscription,
    TradingCalendar,
    TradingHoliday,
)
from apps.finance_sentiment.models.rules import (
    EVERYTHING,
    Monitor,
    Rule,
    Subject,
    SubjectKind,
    of_topic,
)
from apps.finance_sentiment.models.signals import ALL_TOPICS, MonitorClock, TimeBucket
from apps.finance_sentiment.models.sources import (
    POLLED,
    Fault,
    HookDelivery,
    Note,
    RefusedItem,
    Source,
    SourceItem,
    SourceKind,
    SourcePolling,
)
from apps.finance_sentiment.models.threads import DocumentVersion, Thread, ThreadStory
from apps.finance_sentiment.models.topics import Topic, TopicProposal, Vocabulary

__all__ = [
    "ALL_TOPICS",
    "EVERYTHING",
    "POLLED",
    "Alert",
    "AlertChannel",
    "AlertEntry",
    "AlertGroup",
    "AlertPolicy",
    "AlertRoute",
    "Alias",
    "DailyReport",
    "Document",
    "DocumentLabel",
    "DocumentVersion",
    "DocumentWords",
    "Entity",
    "EntityKind",
    "EscalationChain",
    "EscalationStep",
    "Fault",
    "Holding",
    "HookDelivery",
    "Instrument",
    "LabelCandidate",
    "LabelReason",
    "LoopCycle",
    "LoopHead",
    "LoopSettings",
    "Medium",
    "Mention",
    "Monitor",
    "MonitorClock",
    "Note",
    "NoticeSettings",
    "Notification",
    "NotificationAttempt",
    "Portfolio",
    "Price",
    "Question",
    "RefusedItem",
    "ReportSettings",
    "ReportSubscription",
    "Rule",
    "SavedView",
    "Sentiment",
    "Silence",
    "Source",
    "SourceItem",
    "SourceKind",
    "SourcePolling",
    "Story",
    "StoryBand",
    "Subject",
    "SubjectKind",
    "Thread",
    "ThreadStory",
    "TimeBucket",
    "Topic",
    "TopicProposal",
    "TradingCalendar",
    "TradingHoliday",
    "Vocabulary",
    "of_topic",
]
