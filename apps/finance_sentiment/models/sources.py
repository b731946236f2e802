"""Where documents come from: sources, how polling of them stands, what they sent, what was refused."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.common.secrets import EncryptedTextField
from rootstock.tenancy.models import TenantModel


class SourceKind(models.TextChoices):
    """How documents of a source come in."""

    FEED = "feed", _("Feed")
    LIST = "list", _("List page")
    COMMENTS = "comments", _("Comment page")
    HOOK = "hook", _("Inbound webhook")
    PUSH = "push", _("REST and files")


POLLED = (SourceKind.FEED, SourceKind.LIST, SourceKind.COMMENTS)


class Source(TenantModel):
    """A publisher, as people set it up. Documents know it by its name.

    One that nobody set up is made when its first document comes over REST or from a file.
    """

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=8, choices=SourceKind.choices, default=SourceKind.PUSH)
    url = models.TextField(blank=True)
    # where it was before it said that it had moved for good
    moved_from = models.TextField(blank=True)
    source_group = models.CharField(max_length=60, blank=True)
    # how far it is believed, 0 to 1; counts of negatives are weighted with it
    credibility = models.FloatField(
        default=0.5, validators=[MinValueValidator(0.0), MaxValueValidator(1.0)]
    )
    language = models.CharField(max_length=35, blank=True)
    enabled = models.BooleanField(default=True)
    interval_seconds = models.PositiveIntegerField(default=900)
    # {"item", "title", "link", "time", "body", "author"}: CSS selectors of pages
    selectors = models.JSONField(default=dict, blank=True)
    # read the linked article and take its text as body
    fetch_articles = models.BooleanField(default=False)
    # a hook's address ends with it; nothing secret
    hook_key = models.CharField(max_length=40, blank=True)
    secret = EncryptedTextField(blank=True, default="")
    old_secret = EncryptedTextField(blank=True, default="")
    old_secret_until = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="finance_source_once"),
            models.UniqueConstraint(
                fields=["hook_key"],
                name="finance_source_hook",
                condition=~models.Q(hook_key=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_polled(self) -> bool:
        """Whether we ask, rather than are told."""
        return self.kind in POLLED


class Fault(models.TextChoices):
    """Why a poll brought nothing."""

    ADDRESS = "address", _("The address is not allowed")
    UNREACHABLE = "unreachable", _("The server cannot be reached")
    TIMEOUT = "timeout", _("No whole answer in time")
    PROTOCOL = "protocol", _("The answer is not proper HTTP")
    REDIRECTS = "redirects", _("Redirected too often")
    REFUSED = "refused", _("The server refuses")
    MISSING = "missing", _("Nothing at this address")
    GONE = "gone", _("Taken down for good")
    BUSY = "busy", _("Asked to come less often")
    SERVER = "server", _("Error of the server")
    STATUS = "status", _("Unexpected answer")
    TOO_LARGE = "too-large", _("Too large")
    COMPRESSION = "compression", _("Damaged or unknown compression")
    NOT_A_FEED = "not-a-feed", _("Not a feed")
    MALFORMED = "malformed", _("Not readable")
    SELECTORS = "selectors", _("The selectors find nothing")
    ROBOTS = "robots", _("robots.txt does not allow it")
    INTERNAL = "internal", _("Could not be stored")


class Note(models.TextChoices):
    """What was odd about a poll that went well."""

    MOVED = "moved", _("Moved for good; the new address is kept")
    REPAIRED = "repaired", _("Broken XML, read all the same")
    CHARSET = "charset", _("Wrong character set, guessed")
    EMPTY = "empty", _("Without any item")
    UNDATED = "undated", _("Items without a time")
    FUTURE = "future", _("Items from the future")
    REFUSED = "refused", _("Items refused")
    REPEATED = "repeated", _("Items listed twice")
    ARTICLES = "articles", _("Articles that could not be read")
    MORE = "more", _("More items than one poll takes")
    SLOW = "slow", _("Slow")


class SourcePolling(TenantModel):
    """How polling of a source stands. Apart from `Source`, because it changes with every poll.

    `next_at` says when it is due; who holds `lease_token` polls it, until `leased_until`.
    """

    source = models.OneToOneField(Source, on_delete=models.CASCADE, related_name="polling")
    source_id: uuid.UUID
    next_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    # the last polls were slow: such sources never take all pollers
    is_slow = models.BooleanField(default=False)

    etag = models.CharField(max_length=500, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    # of the bytes of the last answer that was read whole
    digest = models.BinaryField(max_length=32, null=True)

    failures = models.PositiveIntegerField(default=0)
    fault = models.CharField(max_length=12, choices=Fault.choices, blank=True)
    # technical, as the libraries say it
    fault_detail = models.CharField(max_length=300, blank=True)
    fault_since = models.DateTimeField(null=True)
    notes = ArrayField(models.CharField(max_length=12, choices=Note.choices), default=list)
    status = models.PositiveSmallIntegerField(null=True)
    milliseconds = models.PositiveIntegerField(null=True)
    polled_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)
    new_at = models.DateTimeField(null=True)
    # [{"at", "outcome", "items", "new", "ms"}], the latest last
    recent = models.JSONField(default=list)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_at"],
                name="finance_polling_due",
                condition=models.Q(next_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"polling of {self.source_id}"


class SourceItem(TenantModel):
    """An item of a polled source that was taken in: by which marks it is known again.

    `guid_key` and `link_key` are hashes. An item whose guid or, where items do not share it, whose link
    is known is the same document, whatever else has changed. `published_at` stays: an undated item is
    not newer each time it is seen.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="items")
    source_id: uuid.UUID
    external_id = models.CharField(max_length=200)
    guid_key = models.BinaryField(max_length=16, null=True)
    link_key = models.BinaryField(max_length=16, null=True)
    content_key = models.BinaryField(max_length=16)
    published_at = models.DateTimeField()
    is_undated = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "source", "external_id"], name="finance_item_once"
            ),
        ]
        indexes = [
            models.Index(fields=["source", "guid_key"], name="finance_item_guid"),
            models.Index(fields=["source", "link_key"], name="finance_item_link"),
        ]

    def __str__(self) -> str:
        return self.external_id


class RefusedItem(TenantModel):
    """A dead letter: an item that could not be taken in, as it came, and why.

    The same item again only counts up `times`.
    """

    class State(models.TextChoices):
        """Whether somebody still has to look at it."""

        OPEN = "open", _("Refused")
        TAKEN = "taken", _("Taken in")
        DISMISSED = "dismissed", _("Dismissed")

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="refused")
    source_id: uuid.UUID
    key = models.CharField(max_length=200)
    title = models.CharField(max_length=300, blank=True)
    # as `document_parse` takes it
    payload = models.JSONField(default=dict)
    # [{"field", "detail"}]
    reasons = models.JSONField(default=list)
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    times = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "source", "key"], name="finance_refused_once"
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "state", "-last_at"], name="finance_refused_list"),
        ]

    def __str__(self) -> str:
        return self.title or self.key


class HookDelivery(TenantModel):
    """A signed message that a hook has accepted: the same id again is answered, not taken again."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="deliveries")
    source_id: uuid.UUID
    message_id = models.CharField(max_length=200)
    # what it was answered
    answer = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "source", "message_id"], name="finance_delivery_once"
            ),
        ]

    def __str__(self) -> str:
        return self.message_id
