"""robots.txt as RFC 9309 has it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

AGENT = "RootstockBot"
MOST_BYTES = 512 * 1024
MOST_DELAY_SECONDS = 10.0


@dataclass(slots=True)
class Robots:
    """What a site asks of us: rules (whether allowed, pattern), seconds between two visits, its site maps."""

    rules: list[tuple[bool, str]] = field(default_factory=list)
    delay: float = 0.0
    sitemaps: list[str] = field(default_factory=list)

    def allows(self, path: str) -> bool:
        """Whether a path with its query may be visited: the longest rule that fits decides, and allowing wins a tie."""
        path = _normal(path) or "/"
        best, allowed = -1, True
        for allow, pattern in self.rules:
            if len(pattern) < best or not _fits(pattern, path):
                continue
            if len(pattern) > best or allow:
                best, allowed = len(pattern), allow
        return allowed or path == "/robots.txt"


def robots_parse(text: str, agent: str = AGENT) -> Robots:
    """The rules for us: those of the groups that name us, else those for everybody."""
    groups: dict[str, Robots] = {}
    sitemaps: list[str] = []
    named: list[str] = []
    in_rules = False
    for line in text[:MOST_BYTES].splitlines():
        name, found, value = line.split("#", 1)[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not found:
            continue
        if name == "sitemap":
            sitemaps.append(value)
        elif name == "user-agent":
            named = [value.lower()] if in_rules else [*named, value.lower()]
            in_rules = False
            for each in named:
                groups.setdefault(each, Robots())
        elif name in {"allow", "disallow", "crawl-delay"}:
            in_rules = True
            for each in named:
                _rule(groups[each], name, value)
    chosen = groups.get(agent.lower()) or groups.get("*") or Robots()
    return Robots(chosen.rules, chosen.delay, sitemaps[:20])


def _rule(group: Robots, name: str, value: str) -> None:
    if name == "crawl-delay":
        if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value):
            group.delay = min(MOST_DELAY_SECONDS, float(value))
    elif value:
        group.rules.append((name == "allow", _normal(value)))


def _normal(path: str) -> str:
    """One way to write a path: percent signs only where they must be."""
    return quote(unquote(path), safe="/*$?&=:@!,;+~'()[]%-._")[:2000]


def _fits(rule: str, path: str) -> bool:
    """Whether a path begins as a rule says, or is all that it says where it ends in "$"."""
    parts = rule.removesuffix("$").split("*")
    if not path.startswith(parts[0]):
        return False
    place = len(parts[0])
    for part in parts[1:-1] if rule.endswith("$") else parts[1:]:
        found = path.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    if not rule.endswith("$"):
        return True
    return place == len(path) if len(parts) == 1 else path[place:].endswith(parts[-1])
