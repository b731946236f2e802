"""Pages about people, the organisation and its keys."""

from __future__ import annotations

from rootstock.accounts.views.sign_in import locked_out

__all__ = ["locked_out"]
