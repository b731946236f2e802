"""``serve``: run the inference process."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ml_core.commands.console import not_negative, positive, positive_number
from ml_core.serving.backends import AUTO, KINDS, TORCH_COMPILED
from ml_core.serving.transport import on_ray
from ml_core.training import ConfigError


def add(commands: Any) -> None:
    """Add the parser of ``serve``."""
    command = commands.add_parser("serve", help="run the inference process")
    command.set_defaults(run=run)
    command.add_argument(
        "--address",
        required=True,
        help="unix:///path.sock or http://host:port to serve at; ray:local or ray://host:port: replicas on that Ray",
    )
    command.add_argument(
        "--allowed-root",
        type=Path,
        required=True,
        metavar="DIR",
        help="only models below this directory are loaded",
    )
    command.add_argument(
        "--token-env",
        metavar="NAME",
        help="environment variable with the token that callers must present",
    )
    command.add_argument(
        "--threads", type=positive, metavar="N", help="threads of one forward pass; default: cores"
    )
    command.add_argument(
        "--max-queue",
        type=positive,
        default=8192,
        metavar="N",
        help="inputs accepted and not answered at a time; more are refused (default %(default)s)",
    )
    command.add_argument(
        "--max-wait",
        type=positive_number,
        metavar="SECONDS",
        help="interactive calls are refused while those before them take longer (default: only --max-queue counts)",
    )
    command.add_argument(
        "--memory-mb",
        type=positive,
        metavar="N",
        help="MiB that models may take; the least recently used goes first (default: half of the machine's)",
    )
    command.add_argument(
        "--cache-mb",
        type=not_negative,
        default=64,
        metavar="N",
        help="MiB of answers kept for inputs that come again; 0: none (default %(default)s)",
    )
    command.add_argument(
        "--backend",
        choices=(AUTO, *KINDS, TORCH_COMPILED),
        default=AUTO,
        help="what computes encoders; auto: the fastest on this machine that is true to torch (default)",
    )
    command.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where exported encoders and the calibration of this machine are kept "
        "(default: $ROOTSTOCK_VAR/onnx, or ~/.cache/rootstock/onnx)",
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    command.add_argument(
        "--replicas",
        type=replicas,
        default=(1, 4),
        metavar="MIN:MAX",
        help="on Ray: how many, by load (default 1:4); each reserves --threads cores, and a GPU with --device cuda",
    )


def replicas(text: str) -> tuple[int, int]:
    """The numbers of "MIN:MAX"."""
    least, _, most = text.partition(":")
    if not (least.isdecimal() and most.isdecimal() and 0 < int(least) <= int(most)):
        raise argparse.ArgumentTypeError(f"{text!r}: expected MIN:MAX, as 1:4")
    return int(least), int(most)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends the process."""
    from ml_core.serving import serve

    token = None
    if options.token_env is not None:
        token = os.environ.get(options.token_env)
        if not token:
            raise ConfigError(f"--token-env: the variable {options.token_env} is not set or empty")
    given = {
        "allowed_root": options.allowed_root,
        "token": token,
        "threads": options.threads,
        "max_queue": options.max_queue,
        "max_wait": options.max_wait,
        "memory_mb": options.memory_mb,
        "cache_mb": options.cache_mb,
        "backend": options.backend,
        "exports": options.cache or _exports(),
        "device": options.device,
    }
    if on_ray(options.address):
        _on_ray(options, given)
    else:
        serve(options.address, **given)
    return 0


def _on_ray(options: argparse.Namespace, given: dict[str, Any]) -> None:
    try:
        from ml_core.serving.ray_app import Scale, serve_on_ray
    except ImportError as error:
        raise ConfigError(f"--address {options.address} needs Ray (ray[serve]): {error}") from error
    least, most = options.replicas
    threads = options.threads or 1
    scale = Scale(
        least=least, most=most, cpus=threads, gpus=float(options.device.startswith("cuda"))
    )
    # Replicas may run on other nodes, where the working directory is another.
    place = {"allowed_root": options.allowed_root.resolve(), "threads": threads}
    try:
        serve_on_ray(options.address, given | place, scale)
    except (ConnectionError, RuntimeError) as error:
        raise ConfigError(f"--address {options.address}: {error}") from error


def _exports() -> Path:
    var = os.environ.get("ROOTSTOCK_VAR")
    return (Path(var) if var else Path.home() / ".cache" / "rootstock") / "onnx"
