"""The shop of the demonstration: a site of its own on another port, with the widget's tag and a strict policy.

`python -m apps.customer_service.demo.shop --port 8100 --widget http://127.0.0.1:8000 --key juniper-pine`. Standard
library only: it stands for somebody else's server. Behind the pages is the shop's own system (`company.py`), which
flows ask about orders and refunds; `--secrets` is the file that `demo.flows.flows_setup` leaves for it.
"""

from __future__ import annotations

import argparse
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from apps.customer_service.demo.company import Company, secrets_reader

SITE = Path(__file__).parent / "site"
KEY = "juniper-pine"
LONGEST_CALL = 64_000
PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/zh/": ("zh.html", "text/html; charset=utf-8"),
    "/shop.css": ("shop.css", "text/css; charset=utf-8"),
    "/shop.js": ("shop.js", "text/javascript; charset=utf-8"),
}


class Shop(BaseHTTPRequestHandler):
    """Gives out the four files, with the address of the widget where the pages say so; answers signed calls."""

    server_version = "Shop"

    def __init__(self, *args: object, widget: str, key: str, company: Company) -> None:
        self.widget = widget
        self.key = key
        self.company = company
        super().__init__(*args)  # type: ignore[arg-type]  # as the server calls it

    def do_GET(self) -> None:
        """One file."""
        found = PAGES.get(urlsplit(self.path).path)
        if found is None:
            self.send_error(404)
            return
        name, content_type = found
        text = (SITE / name).read_text(encoding="utf-8")
        body = text.replace("{{widget}}", f"{self.widget}/widget/{self.key}/loader.js").encode()
        self._send(200, content_type, body)

    def do_POST(self) -> None:
        """A call of a business action."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LONGEST_CALL:
            self.send_error(413)
            return
        content = self.rfile.read(int(length))
        status, body = self.company.answer(self.path, dict(self.headers), content)
        self._send(status, "application/json", body)

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Security-Policy", policy(self.widget))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: who looks at a shop is nobody's business."""


def policy(widget: str) -> str:
    """As strict as it gets: own files only, and the widget's origin for one script and one frame."""
    return f"default-src 'self'; script-src 'self' {widget}; frame-src {widget}"


def server(
    *, port: int, widget: str, key: str = KEY, secrets: Path | None = None
) -> ThreadingHTTPServer:
    """The server, bound to this machine only; port 0 takes a free one.

    Args:
        secrets: the file with the secrets of the business actions; without it no call is taken.
    """
    company = Company(secrets_reader(secrets) if secrets else list)
    handler = partial(Shop, widget=widget, key=key, company=company)
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--widget", required=True, help="origin of the installation")
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--secrets", type=Path, help="file with the secrets of the actions")
    options = parser.parse_args()
    server(**vars(options)).serve_forever()


if __name__ == "__main__":
    main()
