"""Why a model says what it says of a text.

Nothing here loads torch. Names are resolved on first use, so ``import ml_core.explaining`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.explaining.occlusion import Attribution, Occlusion, occlude

__all__ = ["Attribution", "Occlusion", "occlude"]

__getattr__, __dir__ = lazy_exports(
    __name__, {"Attribution": "occlusion", "Occlusion": "occlusion", "occlude": "occlusion"}
)
