"""What a citation of a reply stands for: the passage in its surroundings."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404

from apps.customer_service.models import Message, Passage

# Passages before and after that are shown with it.
AROUND = 1


def citation_get(*, message: Message, number: int) -> dict[str, Any]:
    """The passage that a reply cites under a number, with what stands before and after it.

    What has since been taken out of the knowledge is shown as it was quoted.

    Raises:
        Http404: the reply has no such citation.
    """
    cited = next((one for one in message.citations if one.get("number") == number), None)
    if cited is None:
        raise Http404("no such citation")
    shown = {
        "number": number,
        "title": cited.get("title"),
        "url": cited.get("url"),
        "page": cited.get("page"),
        "heading": cited.get("heading"),
        "quote": cited.get("quote"),
        "text": cited.get("quote"),
        "before": "",
        "after": "",
    }
    passage = _passage(cited.get("passage"))
    if passage is None:
        return shown
    near = Passage.objects.filter(
        document=passage.document_id,
        hidden=False,
        position__range=(passage.position - AROUND, passage.position + AROUND),
    ).order_by("position")
    return {
        **shown,
        "heading": " › ".join(passage.headings) or shown["heading"],
        "text": passage.text,
        "before": "\n\n".join(one.text for one in near if one.position < passage.position),
        "after": "\n\n".join(one.text for one in near if one.position > passage.position),
    }


def _passage(raw: Any) -> Passage | None:
    try:
        key = uuid.UUID(str(raw))
    except ValueError:
        return None
    return Passage.objects.filter(pk=key, hidden=False, document__source__removed_at=None).first()
