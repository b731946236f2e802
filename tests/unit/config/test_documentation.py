"""What an operator may set is documented, and what is documented exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
VARIABLE = re.compile(r"\b(?:ROOTSTOCK_[A-Z_]+[A-Z]|DATABASE_URL|DATABASE_OWNER_URL|REDIS_URL)\b")
READ = re.compile(r"""(?:environ(?:\.get)?|outside\.get|variables\.get)\s*[(\[]\s*"([A-Z_]+)\"""")
FOR_TESTS_ONLY = {"ROOTSTOCK_TEST_SERVICES"}


def sources() -> list[Path]:
    return [
        path
        for folder in ("platform/rootstock", "apps", "ml_core", "script")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and (path.suffix == ".py" or path.parent.name == "script")
    ]


def table() -> str:
    return (ROOT / "docs" / "operations.md").read_text().split("\n## Settings\n")[1]


def test_every_variable_that_is_read_is_in_the_table_of_settings() -> None:
    read = {
        name
        for path in sources()
        for name in READ.findall(path.read_text())
        if VARIABLE.fullmatch(name)
    }
    assert read - FOR_TESTS_ONLY - set(VARIABLE.findall(table())) == set()


def test_every_variable_in_the_table_is_read_somewhere() -> None:
    code = "\n".join(path.read_text() for path in sources())
    documented = {
        name for line in table().splitlines() for name in re.findall(r"`([A-Z_]+)`", line)
    }
    assert {
        name for name in documented if name.startswith("ROOTSTOCK_") and name not in code
    } == set()


@pytest.mark.parametrize(
    "document",
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/operations.md"],
)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text())
    images = [link for link in links if link.endswith(".png")]
    missing = [link for link in links if link not in images and not (path.parent / link).exists()]
    assert missing == []


def test_roles_in_the_documentation_are_those_that_containers_get() -> None:
    def roles(path: str) -> list[str]:
        found = re.findall(
            r"CREATE ROLE (\w+) ([A-Z ]+?)(?: PASSWORD.*)?;", (ROOT / path).read_text()
        )
        return sorted(f"{name} {options}" for name, options in found)

    assert roles("docs/operations.md") == roles("deploy/roles.sh")
    assert len(roles("deploy/roles.sh")) == 3
