"""Files of visitors: taking them, and giving them out at signed addresses."""

from __future__ import annotations

import uuid
from urllib.parse import quote

from django.conf import settings
from django.core import signing
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.customer_service.models import Attachment
from apps.customer_service.selectors.attachments import (
    ADDRESS_SECONDS,
    attachment_signed,
    public_attachment,
)
from apps.customer_service.services.attachments import (
    LIMIT_BYTES,
    attachment_store,
    file_check,
)
from apps.customer_service.widget.base import VisitorView, limit
from rootstock.common.problems import Problem, invalid
from rootstock.tenancy.scope import organisation_scope

# What a multipart body has besides its file.
ENVELOPE = 64 * 1024


class AttachmentsView(VisitorView):
    """Files that go with the next message."""

    parser_classes = (MultiPartParser,)

    def post(self, request: Request, key: str, conversation_id: uuid.UUID) -> Response:
        """Take one file (field `file`): answers what it has become, for `attachments` of a message."""
        limit(f"say:{self.token.visitor_id.hex}", settings.ROOTSTOCK_WIDGET_MESSAGE_LIMIT)
        length = request.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LIMIT_BYTES + ENVELOPE:
            megabytes = LIMIT_BYTES // 2**20
            raise Problem(413, "too-large", _("A file has at most %(n)d MB.") % {"n": megabytes})
        with self.scope():
            channel = self.conversation(conversation_id).channel
            if channel is None or not channel.attachments:
                raise Problem(403, "no-attachments", _("This channel takes no files."))
        given = request.FILES.get("file")
        if given is None:
            raise invalid("/file", _("There is no file in the request."))
        file = file_check(name=given.name or "", content=given.read())
        with self.scope():
            conversation = self.conversation(conversation_id)
            attachment = attachment_store(conversation=conversation, file=file)
            return Response(public_attachment(attachment), status=201)


@require_safe
def file_read(request: HttpRequest, signed: str) -> HttpResponse:
    """A file, for whoever has its address: nothing in it can run, whatever it is."""
    try:
        organisation_id, attachment_id = attachment_signed(signed)
    except signing.BadSignature:
        response = HttpResponse(
            _("This address is no longer good."), status=403, content_type="text/plain"
        )
        return _harmless(response)
    with organisation_scope(organisation_id):
        attachment = Attachment.objects.filter(pk=attachment_id).first()
    if attachment is None or not default_storage.exists(attachment.path):
        raise Http404
    with default_storage.open(attachment.path) as file:
        response = HttpResponse(file.read(), content_type=attachment.content_type)
    shown = "inline" if attachment.content_type.startswith("image/") else "attachment"
    response["Content-Disposition"] = f"{shown}; filename*=UTF-8''{quote(attachment.name)}"
    response["Cache-Control"] = f"private, max-age={ADDRESS_SECONDS}, immutable"
    return _harmless(response)


def _harmless(response: HttpResponse) -> HttpResponse:
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    # Clients of other origins show images; the address is the permission.
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
