"""Models that an app makes of more than a model, such as an assistant that looks things up before it answers.

An app registers one in `AppConfig.ready`; from then on its name can be asked in `/api/openai/v1/chat/completions` and
stands in `/models`, in every organisation. The name is taken: a deployment of the same name is not reached there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from rootstock.common.problems import Problem
from rootstock.gateway import background
from rootstock.gateway.inference import Piece

logger = logging.getLogger(__name__)

# Takes a piece of the reply; False: nobody reads any more.
Say = Callable[[str], bool]
# Writes the reply to an organisation's turns ({"role", "content"}), outside of any scope. Raises Problem.
Write = Callable[[uuid.UUID, Sequence[Mapping[str, str]], Say], None]


@dataclass(frozen=True)
class VirtualModel:
    """A name and what writes its replies. `owner`: who the list of models says it belongs to."""

    name: str
    owner: str
    write: Write


_models: dict[str, VirtualModel] = {}


def register(model: VirtualModel) -> None:
    """Offer it; the name of another one is replaced."""
    _models[model.name] = model


def virtual_models() -> list[VirtualModel]:
    """All of them, by name."""
    return [_models[name] for name in sorted(_models)]


def virtual_find(name: str) -> VirtualModel | None:
    """The one of this name; None: it is the name of something else, or of nothing."""
    return _models.get(name)


def virtual_chat(
    model: VirtualModel, organisation_id: uuid.UUID, messages: Sequence[Mapping[str, str]]
) -> background.Stream[Piece]:
    """The next reply of a conversation; its first piece has been written, as with `inference.chat`.

    Raises:
        Problem: as the model refuses.
    """
    stream = background.Stream(_pieces(model, organisation_id, messages))
    stream.first()
    return stream


async def _pieces(
    model: VirtualModel, organisation_id: uuid.UUID, messages: Sequence[Mapping[str, str]]
) -> AsyncGenerator[Piece]:
    """What a thread writes, as it comes; the thread is told when nobody reads on."""
    loop = asyncio.get_running_loop()
    written: asyncio.Queue[str | Exception | None] = asyncio.Queue()
    gone = threading.Event()

    def tell(each: str | Exception | None) -> None:
        loop.call_soon_threadsafe(written.put_nowait, each)

    def say(text: str) -> bool:
        tell(text)
        return not gone.is_set()

    def write() -> None:
        end: Exception | None = None
        try:
            model.write(organisation_id, messages, say)
        except Problem as problem:
            end = problem
        except Exception:
            logger.exception("%s failed", model.name)
            end = Problem(503, "unavailable", f"{model.name} cannot answer now.")
        finally:
            connection.close()
            tell(end)

    # A thread of its own: one of the loop's few might wait here for another of them, when a model of this
    # installation writes for the virtual one.
    threading.Thread(target=write, name=f"virtual-{model.name}", daemon=True).start()
    try:
        while (each := await written.get()) is not None:
            if isinstance(each, Exception):
                raise each
            yield Piece(each)
        yield Piece("", finish_reason="stop")
    finally:
        gone.set()
