"""What README and docs/widget.md promise: from nothing to a widget that answers from a document of one's own."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.customer_service.widget_world import (
    Widget,
    inside,
    installation,
    knowledge_publish,
    sign_in,
)

__all__ = ["inside", "installation"]
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
DOCUMENT = b"""# The workshop

## Opening hours

The workshop is open from Tuesday to Saturday, nine to six.

## Courses

Mending a zip is taught on the first Saturday of the month.
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files, without a word on the screen."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the newcomer's page is."""
    made = tmp_path / "page"
    made.mkdir()
    return made


@pytest.fixture
def site(folder: Path) -> Iterator[str]:
    """Its address, as `python -m http.server` gives it one."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_newcomer_embeds_it(  # noqa: PLR0917 - fixtures
    chromium, installation, inside, organisation, make_user, folder, site
):
    owner = inside.do(lambda: make_user(organisation))
    page = sign_in(chromium, installation, owner, "/service/knowledge/")
    document = {"name": "workshop.md", "mimeType": "text/markdown", "buffer": DOCUMENT}
    knowledge_publish(page, installation, document)

    page.goto(f"{installation}/service/widget/")
    page.get_by_role("link", name="Make a channel").click()
    page.get_by_label("Name").fill("My page")
    page.get_by_label("Sites that may show it").fill(site)
    page.get_by_role("button", name="Make the channel").click()
    tag = page.locator("#tag code").first.inner_text()
    (folder / "index.html").write_text(f'<!doctype html><html lang="en"><title>Mine</title>{tag}')
    page.get_by_label("Page", exact=True).fill(f"{site}/")
    page.get_by_role("button", name="Check the page").click()
    page.get_by_text(f"The widget works on {site}/").wait_for()

    widget = Widget(chromium, site, "en-GB")
    widget.ask("When is the workshop open?")
    widget.sees("from Tuesday to Saturday")
    widget.inside.locator(".source", has_text="workshop").wait_for()
    widget.picture("embedded")
    assert widget.broken == []
