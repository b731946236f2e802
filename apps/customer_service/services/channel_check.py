"""Whether the tag works on a page: what a visitor's browser would make of it, told before a visitor finds out.

The page is fetched as it is served; what its scripts change afterwards is not seen. Called outside of transactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from django.utils.translation import gettext as _

from rootstock.common.http import HttpError, fetch

LARGEST_PAGE = 3_000_000
SECONDS = 15.0


@dataclass(frozen=True)
class Finding:
    """One thing about the page. `fix` is what to do, or a line to copy; empty where nothing is to be done."""

    ok: bool
    code: str
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Tag:
    """A script of the page."""

    src: str
    nonce: str


class _Page(HTMLParser):
    """Scripts of a page and the policies in its head."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[Tag] = []
        self.policies: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what matters."""
        given = {name: value or "" for name, value in attrs}
        if tag == "script" and given.get("src"):
            self.scripts.append(Tag(given["src"].strip(), given.get("nonce", "")))
        elif tag == "meta" and given.get("http-equiv", "").lower() == "content-security-policy":
            self.policies.append(given.get("content", ""))


def page_check(
    *, url: str, home: str, key: str, origins: Sequence[str], enabled: bool
) -> list[Finding]:
    """What is right and what is wrong with the tag on a page, in the order in which to put it right.

    Args:
        url: of the page.
        home: our own origin, as in the tag.
        key, origins, enabled: of the channel.
    """
    try:
        answer = fetch(
            "GET",
            url,
            headers={"Accept": "text/html"},
            timeout=SECONDS,
            max_bytes=LARGEST_PAGE,
            max_redirects=5,
        )
    except HttpError as error:
        text = _("The page could not be fetched: %(why)s.") % {"why": error}
        return [
            Finding(
                False,
                "unreachable",
                text,
                _("Open it in a browser: its console says what is wrong with the widget."),
            )
        ]
    if answer.status >= 400:
        text = _("The page answers with the status %(status)s.") % {"status": answer.status}
        return [
            Finding(False, "status", text, _("Check the address, or whether it needs a login."))
        ]
    page = _Page()
    page.feed(answer.body.decode("utf-8", errors="replace"))
    findings = [_tag(page.scripts, base=answer.url, home=home, key=key)]
    tag = next((one for one in page.scripts if _is_ours(one, answer.url, home, key)), None)
    findings.append(_origin(answer.url, origins))
    if not enabled:
        findings.append(
            Finding(False, "disabled", _("The channel is switched off."), _("Switch it on."))
        )
    headers = answer.headers.get("content-security-policy", "")
    policies = [*_split(headers), *page.policies]
    findings += _policies(policies, home, tag.nonce if tag else "")
    if answer.headers.get("cross-origin-embedder-policy", "").startswith("require-corp"):
        findings.append(
            Finding(
                False,
                "coep",
                _("The page shows only frames that ask for isolation (COEP: require-corp)."),
                "Cross-Origin-Embedder-Policy: credentialless",
            )
        )
    return findings


def tag_html(home: str, key: str) -> str:
    """The tag to copy."""
    return f'<script src="{home}/widget/{key}/loader.js" async></script>'


def _tag(scripts: Sequence[Tag], *, base: str, home: str, key: str) -> Finding:
    if any(_is_ours(one, base, home, key) for one in scripts):
        return Finding(True, "tag", _("The tag is on the page."))
    for one in scripts:
        address = urlsplit(urljoin(base, one.src))
        if not (address.path.startswith("/widget/") and address.path.endswith("/loader.js")):
            continue
        other = f"{address.scheme}://{address.netloc}"
        if other != home:
            text = _("The tag on the page is that of another address: %(other)s.") % {
                "other": other
            }
            return Finding(False, "other-address", text, tag_html(home, key))
        text = _("The tag on the page has another key: %(key)s.") % {
            "key": address.path.split("/")[2]
        }
        return Finding(False, "other-key", text, tag_html(home, key))
    text = _("The tag is not on the page, at least not before its scripts run.")
    return Finding(False, "missing", text, tag_html(home, key))


def _is_ours(tag: Tag, base: str, home: str, key: str) -> bool:
    return urljoin(base, tag.src).partition("?")[0] == f"{home}/widget/{key}/loader.js"


def _origin(url: str, origins: Sequence[str]) -> Finding:
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}".lower()
    if origin in origins:
        return Finding(True, "origin", _("%(origin)s may show the widget.") % {"origin": origin})
    text = _("%(origin)s is not among the sites that may show the widget.") % {"origin": origin}
    return Finding(False, "origin", text, _("Add %(origin)s to the sites.") % {"origin": origin})


def _policies(policies: Sequence[str], home: str, nonce: str) -> list[Finding]:
    if not policies:
        return [Finding(True, "csp", _("The page has no Content-Security-Policy."))]
    findings = []
    for wanted, fallbacks in (
        ("script-src", ("script-src-elem", "script-src", "default-src")),
        ("frame-src", ("frame-src", "child-src", "default-src")),
    ):
        for policy in policies:
            directives = _directives(policy)
            name = next((one for one in fallbacks if one in directives), None)
            if name is None or _allows(directives[name], home, nonce):
                continue
            text = _("The page's Content-Security-Policy forbids it: %(directive)s.") % {
                "directive": f"{name} {' '.join(directives[name])}"
            }
            # Where only default-src forbids it, a directive of its own must keep what that allowed.
            named = name if name != "default-src" else wanted
            kept = [source for source in directives[name] if source != "'none'"]
            findings.append(Finding(False, "csp", text, " ".join([named, *kept, home])))
            break
    return findings or [
        Finding(True, "csp", _("The page's Content-Security-Policy allows the widget."))
    ]


def _split(header: str) -> list[str]:
    """Several headers of the same name arrive as one, joined by commas; every one of them must allow it."""
    return [policy for policy in header.split(",") if policy.strip()]


def _directives(policy: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for directive in policy.split(";"):
        name, *sources = directive.split()[:200] or [""]
        found.setdefault(name.lower(), sources)
    return found


def _allows(sources: Sequence[str], home: str, nonce: str) -> bool:
    """Whether a list of sources takes what is loaded from `home`."""
    if nonce and f"'nonce-{nonce}'" in sources:
        return True
    if "'strict-dynamic'" in sources:
        return False
    wanted = urlsplit(home)
    for source in sources:
        if source == "*" or source.lower() == f"{wanted.scheme}:":
            return True
        if source.startswith("'"):
            continue
        scheme, separator, rest = source.partition("://")
        host = (rest if separator else scheme).partition("/")[0].lower()
        if separator and scheme.lower() not in {wanted.scheme, "http"}:
            continue
        name, colon, port = host.rpartition(":") if ":" in host else (host, "", "")
        usual = {"http": "80", "https": "443"}[wanted.scheme]
        if colon and port not in {"*", str(wanted.port or usual)}:
            continue
        if not colon and str(wanted.port or usual) != usual:
            continue
        hostname = wanted.hostname or ""
        if name == hostname or (name.startswith("*.") and hostname.endswith(name[1:])):
            return True
    return False
