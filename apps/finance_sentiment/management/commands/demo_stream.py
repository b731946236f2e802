"""`manage.py demo_stream`: fresh headlines without end, over REST like anybody's."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from types import FrameType
from typing import Any

import httpx
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.finance_sentiment.demo.setup import account_path
from apps.finance_sentiment.demo.stream import DemoDocument, DemoStream

_LONGEST_PAUSE = 10.0


class Command(BaseCommand):
    help = "Post fresh documents to the running web process, with a surge every two minutes, until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to."""
        host = os.environ.get("ROOTSTOCK_HOST") or "127.0.0.1"
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - a comparison
        port = os.environ.get("ROOTSTOCK_PORT") or "8000"
        parser.add_argument("--url", default=f"http://{host}:{port}")

    def handle(self, *args: Any, **options: Any) -> None:
        """Post each document when it is due; what could not be sent is sent when the server is back."""
        try:
            key = json.loads(account_path().read_text())["api_key"]
        except (OSError, ValueError, KeyError) as error:
            raise CommandError("there is no demonstration yet: run manage.py demo_setup") from error
        stopping = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        with httpx.Client(
            base_url=options["url"], headers={"Authorization": f"Bearer {key}"}, timeout=10
        ) as client:
            Sender(client, stopping).run(DemoStream(seed=random.randrange(2**31)))


class Sender:
    """Sends what is due, a second's worth at a time."""

    def __init__(self, client: httpx.Client, stopping: threading.Event) -> None:
        self._client = client
        self._stopping = stopping

    def run(self, stream: DemoStream) -> None:
        """Until stopped."""
        waiting: list[DemoDocument] = []
        for document in stream.documents(timezone.now()):
            ahead = (document.published_at - timezone.now()).total_seconds()
            if waiting and ahead > 0:
                self._send(waiting)
                waiting = []
                ahead = (document.published_at - timezone.now()).total_seconds()
            if self._stopping.wait(max(0.0, ahead)):
                return
            waiting.append(document)
            if len(waiting) >= 100:
                self._send(waiting)
                waiting = []

    def _send(self, documents: list[DemoDocument]) -> None:
        body = {"documents": [document.as_payload() for document in documents]}
        pause = 0.5
        while not self._stopping.is_set():
            try:
                response = self._client.post("/api/v1/finance/documents", json=body)
            except httpx.HTTPError:
                pass  # the server restarts or is busy: the same batch again is harmless
            else:
                if response.status_code < 500 and response.status_code != 429:
                    if response.is_error:
                        raise CommandError(f"{response.status_code}: {response.text[:500]}")
                    return
            self._stopping.wait(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)
