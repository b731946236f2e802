"""The process that fills the knowledge of an installation: `python -m bench.customer.shelf DIRECTORY CONFIGURATION`.

The files of the directory come in as an upload does, and the workers read them and make their vectors. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import django

django.setup()

from apps.customer_service.models import Assistant, Document  # noqa: E402
from apps.customer_service.services.channels import channel_create  # noqa: E402
from apps.customer_service.services.releases import release_publish  # noqa: E402
from apps.customer_service.services.sources import file_add  # noqa: E402
from rootstock.common.actors import SYSTEM  # noqa: E402
from rootstock.common.ids import uuid7  # noqa: E402
from rootstock.modelhub.first_models import first_model_deploy, first_model_train  # noqa: E402
from rootstock.modelhub.services import dataset_create, examples_add  # noqa: E402
from rootstock.modelhub.services.examples import NewExample  # noqa: E402
from rootstock.tenancy.models import Organisation  # noqa: E402
from rootstock.tenancy.scope import organisation_scope  # noqa: E402
from rootstock.vectors.selectors import overviews  # noqa: E402

RERANKER = "bench.reranker"
# A quarter of an hour in which nothing moves is a fault.
STALL_SECONDS = 900.0


def main(folder: Path, setting: dict[str, Any]) -> dict[str, Any]:
    """Fill, publish, and say how much there is and under which key visitors come."""
    organisation = Organisation(name="Bench", slug=f"bench-{uuid7().hex[-8:]}", language="en")
    with organisation_scope(organisation.pk):
        organisation.save(force_insert=True)
        channel = channel_create(name="Bench", actor=SYSTEM)
    if not setting["passages"]:
        return {"channel": channel.key}
    started = time.monotonic()
    for path in sorted(folder.glob("*.md")):
        with organisation_scope(organisation.pk):
            file_add(name=path.name, data=path.read_bytes(), actor=SYSTEM)
    unread = (Document.State.WAITING, Document.State.READING)
    _wait(organisation, lambda: Document.objects.filter(state__in=unread).count())
    _wait(organisation, lambda: sum(each.waiting for each in overviews()))
    teach_reranker(organisation, json.loads((folder / "pairs.json").read_text()))
    with organisation_scope(organisation.pk):
        Assistant.objects.update_or_create(
            channel=None, defaults={"reranker": RERANKER, "offer_people": False}
        )
        release_publish(actor=SYSTEM, forced=True)
        passages = sum(each.items for each in overviews())
    return {
        "channel": channel.key,
        "passages": passages,
        "filled_seconds": time.monotonic() - started,
    }


def teach_reranker(organisation: Organisation, pairs: list[dict[str, Any]]) -> None:
    """A cross-encoder of the size that a company would deploy: how long it takes does not hang on what it learned."""
    with organisation_scope(organisation.pk):
        dataset = dataset_create(name="Pairs", task="reranking", actor=SYSTEM)
        rows = [NewExample(content=pair) for pair in pairs]
        examples_add(dataset=dataset, examples=rows, actor=SYSTEM)
    config = {"epochs": 1, "languages": ["en"]}
    version = first_model_train(
        organisation=organisation, dataset=dataset, name=RERANKER, config=config, write=str
    )
    first_model_deploy(organisation=organisation, version=version, reason="measured")


def _wait(organisation: Organisation, left: Any) -> None:
    """Until nothing is left to do; RuntimeError when it does not get less."""
    least, since = None, time.monotonic()
    while True:
        with organisation_scope(organisation.pk):
            now = left()
        if not now:
            return
        if least is None or now < least:
            least, since = now, time.monotonic()
        if time.monotonic() - since > STALL_SECONDS:
            raise RuntimeError(f"{now} are left, and nothing moves")
        time.sleep(1)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))))
