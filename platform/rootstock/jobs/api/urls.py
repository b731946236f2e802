"""Addresses under /api/v1/jobs/."""

from __future__ import annotations

from django.urls import path

from rootstock.jobs.api.views import JobCancel, JobList, JobLog, JobView

urlpatterns = [
    path("", JobList.as_view()),
    path("<uuid:job_id>/", JobView.as_view()),
    path("<uuid:job_id>/log/", JobLog.as_view()),
    path("<uuid:job_id>/cancel/", JobCancel.as_view()),
]
