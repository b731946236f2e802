"""Where a version comes from and what has come of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from modelhub_helpers import ACTOR, make_snapshot

from rootstock.modelhub import services
from rootstock.modelhub.lineage import Node, lineage
from rootstock.modelhub.models import ModelVersion
from rootstock.tenancy.models import Organisation

NAME = "finance.sentiment"
pytestmark = pytest.mark.usefixtures("loaded")


def labels(node: Node) -> Any:
    return {node.version.label: [labels(child) for child in node.children]}


def test_the_tree_of_a_version(scope: Organisation, place_artifact: Callable[[], str]) -> None:
    def register(parent: ModelVersion | None = None, **fields: Any) -> ModelVersion:
        return services.version_register(
            name=NAME, artifact_path=place_artifact(), actor=ACTOR, parent=parent, **fields
        )

    snapshot = make_snapshot(count=60)
    first = register(snapshot=snapshot)
    second = register(first)
    aside = register(first)
    third, fourth = register(second), register(second)
    fifth = register(fourth)
    for each in (second, fifth):
        services.version_promote(version=each, actor=ACTOR, force=True, reason="for the test")

    line = lineage(second)
    assert labels(line.root) == {
        first.label: [
            {second.label: [{third.label: []}, {fourth.label: [{fifth.label: []}]}]},
        ]
    }
    assert aside not in line.descendants
    assert [str(each) for each in lineage(fifth).ancestors] == [
        fourth.label,
        second.label,
        first.label,
    ]
    assert line.ancestors[0].snapshot == snapshot
    assert (line.deployed, line.complete) == ([NAME], True)
    (here,) = line.root.children
    assert (here.current, here.serving) == (True, [])
    assert here.children[1].children[0].serving == [NAME]
    assert line.root.figure.startswith("Macro F1")


def test_a_family_that_is_too_large_is_cut_off(
    scope: Organisation, place_artifact: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rootstock.modelhub.lineage.LARGEST", 2)
    path = place_artifact()
    parent = services.version_register(name=NAME, artifact_path=path, actor=ACTOR)
    for _ in range(3):
        services.version_register(name=NAME, artifact_path=path, actor=ACTOR, parent=parent)
    line = lineage(parent)
    assert (len(line.descendants), line.complete) == (2, False)
