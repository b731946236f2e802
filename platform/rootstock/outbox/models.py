"""What is still to be done, and which requests have been answered."""

from __future__ import annotations

from django.db import models

from rootstock.tenancy.models import TenantModel


class OutboxMessage(TenantModel):
    """Something to do, written in the transaction that made it necessary and deleted in the one that did it.

    Published: a hint with the id of the row has been sent to the broker. Leased: a worker has taken it
    (`lease_token` is that worker's) and says at least every few seconds, through `leased_until`, that it is
    alive.
    """

    topic = models.CharField(max_length=100)
    payload = models.JSONField()
    queue = models.CharField(max_length=40)
    coalesce_key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULLs are distinct in the unique index
    available_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)
    published_count = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.TextField(blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["queue", "available_at"],
                condition=models.Q(dead_at__isnull=True),
                name="outbox_due",
            ),
            models.Index(
                fields=["organisation", "-id"],
                condition=models.Q(dead_at__isnull=False),
                name="outbox_dead",
            ),
        ]
        constraints = [
            # A worker clears the key when it starts, so a signal that comes later makes a row of its own.
            models.UniqueConstraint(
                fields=["organisation", "topic", "coalesce_key"],
                condition=models.Q(coalesce_key__isnull=False, dead_at__isnull=True),
                name="outbox_coalesced_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"


class IdempotencyKey(TenantModel):
    """The answer that a request with an `Idempotency-Key` got, kept for two days."""

    key = models.CharField(max_length=255)
    request_digest = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "key"], name="idempotency_key_once"),
        ]

    def __str__(self) -> str:
        return self.key
