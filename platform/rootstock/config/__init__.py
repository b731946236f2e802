"""The Django project. Importing it makes `shared_task` find our Celery application."""

from __future__ import annotations

from rootstock.config.celery import app as celery_app

__all__ = ["celery_app"]
