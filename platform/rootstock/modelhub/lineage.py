"""Where a version comes from and what has come of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from rootstock.modelhub.gate.figures import figure, written
from rootstock.modelhub.models import DeploymentChange, ModelVersion, Split
from rootstock.modelhub.selectors import serving_names, version_ancestors

# A tree that is larger than this is cut off, and says so.
LARGEST = 200


@dataclass
class Node:
    """A version in the tree, with the versions that were trained from it."""

    version: ModelVersion
    serving: list[str]
    figure: str
    current: bool = False
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Lineage:
    """The tree of a version: `root` is its oldest ancestor, `ancestors` its parent chain, the parent first."""

    version: ModelVersion
    root: Node
    ancestors: list[ModelVersion]
    descendants: list[ModelVersion]
    complete: bool
    # Names of deployments that it serves, shadows or has served.
    deployed: list[str]


def lineage(version: ModelVersion) -> Lineage:
    """The parent chain of a version and all that was trained from it.

    Of the ancestors' other children nothing is shown: they are no part of how this version came to be.
    """
    serving = serving_names()
    ancestors = version_ancestors(version)
    descendants, complete = _descendants(version)
    here = _node(version, serving, current=True)
    nodes = {version.pk: here}
    for each in descendants:
        node = _node(each, serving)
        nodes[each.pk] = node
        if each.parent_id is not None:
            nodes[each.parent_id].children.append(node)
    root = here
    for ancestor in ancestors:
        above = _node(ancestor, serving)
        above.children.append(root)
        root = above
    history = DeploymentChange.objects.filter(to_version=version).values_list(
        "deployment__name", flat=True
    )
    return Lineage(version, root, ancestors, descendants, complete, sorted(set(history)))


def _descendants(version: ModelVersion) -> tuple[list[ModelVersion], bool]:
    """Parents before children; and whether these are all."""
    found: list[ModelVersion] = []
    level: Iterable[uuid.UUID] = [version.pk]
    while level:
        rows = list(
            ModelVersion.objects.filter(parent_id__in=level)
            .select_related("snapshot__dataset", "run")
            .defer("card", "run__log")
            .order_by("name", "number")[: LARGEST + 1]
        )
        found += rows
        if len(found) > LARGEST:
            return found[:LARGEST], False
        level = [row.pk for row in rows]
    return found, True


def _node(
    version: ModelVersion, serving: dict[uuid.UUID, list[str]], *, current: bool = False
) -> Node:
    report = version.metrics.get(Split.TEST) or version.metrics.get(Split.VALIDATION) or {}
    found = figure(report)
    words = f"{found.name} {written(found.value)}" if found else ""
    return Node(version, serving.get(version.pk, []), words, current)
