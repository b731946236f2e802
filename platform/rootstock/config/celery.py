"""The Celery application: queues and schedule are in the settings, tasks in each app's tasks.py."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rootstock.config.settings.embedded")

app = Celery("rootstock")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Threads of the web process publish too, and only the default application is seen by every thread.
app.set_default()
app.autodiscover_tasks()
