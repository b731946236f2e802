"""Serves the gallery of components: `python tests/e2e/web/serve_gallery.py [PORT]`, until its input ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """The first line printed is the address."""
    root = Path(__file__).resolve().parents[3]
    sys.path[:0] = [str(root / "platform"), str(root)]
    os.environ["DJANGO_SETTINGS_MODULE"] = "rootstock.config.settings.test"
    # The settings start servers for pytest; the gallery needs none.
    os.environ.pop("PYTEST_VERSION", None)
    import django

    django.setup()
    from tests.e2e.web import gallery

    gallery.register_samples()
    with gallery.served(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as address:
        print(address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
