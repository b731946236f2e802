"""How people are told of alerts: channels, quiet hours, chains of escalation, routes, silences."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.common.secrets import EncryptedTextField
from rootstock.tenancy.models import Role, TenantModel


class Medium(models.TextChoices):
    """The ways a notification goes."""

    IN_APP = "in_app", _("In the application")
    EMAIL = "email", _("E-mail")
    WEBHOOK = "webhook", _("Signed webhook")
    FEISHU = "feishu", _("Feishu")
    DINGTALK = "dingtalk", _("DingTalk")
    WECOM = "wecom", _("WeCom")
    SLACK = "slack", _("Slack")


CHANNEL_MEDIA = [choice for choice in Medium.choices if choice[0] != Medium.IN_APP]


class QuietTimes(models.Model):
    """When somebody does not want to be disturbed, and how messages are gathered.

    From `quiet_from` to `quiet_until` of the clock in `time_zone` messages wait; a period that begins later than
    it ends goes over midnight. `quiet_days` are the weekdays (0 is Monday) on which it begins, all when empty.
    """

    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    quiet_days = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    # "": the organisation's
    time_zone = models.CharField(max_length=64, blank=True)
    # An alert with this score goes through all the same; null: none does.
    urgent_score = models.FloatField(null=True, blank=True)
    # 0: every message by itself, at once
    digest_minutes = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


class AlertChannel(TenantModel, QuietTimes):
    """A place where notifications go: a group of a chat service, an e-mail address, a program.

    With an owner it is that person's own: what is meant for the person goes there.
    """

    name = models.CharField(max_length=80)
    medium = models.CharField(max_length=8, choices=CHANNEL_MEDIA)
    # An e-mail address, or a URL that whoever knows it may write to.
    address = EncryptedTextField()
    # What of the address may be shown: it tells two channels apart and lets nobody in.
    hint = models.CharField(max_length=120, blank=True)
    # Signs webhooks, and messages to Feishu and DingTalk whose robots ask for it.
    secret = EncryptedTextField(blank=True, default="")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    enabled = models.BooleanField(default=True)
    tells_end = models.BooleanField(default=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    # Why the latest message was not taken; empty when it was.
    problem = models.CharField(max_length=300, blank=True)
    created_by = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "name"], name="finance_channel_name_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class NoticeSettings(TenantModel, QuietTimes):
    """How one person wants to be told."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # To the address of the account, when the person has no channel of their own.
    by_email = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "user"], name="finance_notices_once"),
        ]
        verbose_name_plural = "notice settings"

    def __str__(self) -> str:
        return f"notices of {self.user_id}"


class EscalationChain(TenantModel):
    """Who is told, and who next when nobody takes it."""

    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="finance_chain_once"),
        ]

    def __str__(self) -> str:
        return self.name


class EscalationStep(TenantModel):
    """One step of a chain."""

    class Kind(models.TextChoices):
        """What is done."""

        WAIT = "wait", _("Wait")
        PERSON = "person", _("Tell a person")
        ROLE = "role", _("Tell everybody of a role")
        CHANNEL = "channel", _("Tell a channel")
        ONLY_IF = "only_if", _("Go on only if the score is at least")
        REPEAT = "repeat", _("Begin again")

    chain = models.ForeignKey(EscalationChain, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=8, choices=Kind.choices)
    wait_seconds = models.PositiveIntegerField(default=0)
    # Null when the person has left: the step then tells nobody, and the log says so.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    role = models.CharField(max_length=10, choices=Role.choices, blank=True)
    channel = models.ForeignKey(
        AlertChannel, null=True, blank=True, on_delete=models.PROTECT, related_name="steps"
    )
    score = models.FloatField(null=True, blank=True)
    times = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "chain", "position"], name="finance_step_place_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.kind}"


class AlertRoute(TenantModel):
    """Which alerts take which chain. The first enabled route that matches is taken."""

    class GroupBy(models.TextChoices):
        """What alerts of one group have in common."""

        RULE = "rule", _("Rule")
        KIND = "kind", _("Kind of subject")
        SUBJECT = "subject", _("Subject")
        THREAD = "thread", _("Story")

    name = models.CharField(max_length=80)
    position = models.PositiveSmallIntegerField(default=0)
    enabled = models.BooleanField(default=True)
    # {"rules": [id…], "kinds": […], "keys": [pattern…], "least_score": number}; empty matches everything
    matcher = models.JSONField(default=dict, blank=True)
    # Empty: all alerts of the route are one group.
    group_by = ArrayField(
        models.CharField(max_length=10, choices=GroupBy.choices), default=list, blank=True
    )
    # How long a group waits for more alerts before it is told of.
    group_wait_seconds = models.PositiveIntegerField(default=30)
    chain = models.ForeignKey(
        EscalationChain, null=True, blank=True, on_delete=models.PROTECT, related_name="routes"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="finance_route_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Silence(TenantModel):
    """Alerts that nobody wants to hear of for a while; they are still raised and shown."""

    matcher = models.JSONField(default=dict)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    created_by = models.CharField(max_length=200)
    # When somebody ended it before its time.
    ended_by = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "ends_at"], name="finance_silence_end"),
        ]

    def __str__(self) -> str:
        return f"{self.reason} until {self.ends_at.isoformat()}"


class AlertPolicy(TenantModel):
    """What holds for all alerts of the organisation."""

    # An alert on everything silences those on topics, one on a topic those on entities of the same stories.
    wider_silences_narrower = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation"], name="finance_policy_once"),
        ]
        verbose_name_plural = "alert policies"

    def __str__(self) -> str:
        return f"alert policy of {self.organisation_id}"
