"""REST addresses of this app."""

from __future__ import annotations

from django.urls import path

from rootstock.accounts.api import views

urlpatterns = [
    path("me", views.MeView.as_view(), name="api-me"),
    path("organisation", views.OrganisationView.as_view(), name="api-organisation"),
    path("members", views.MemberList.as_view(), name="api-members"),
    path("members/<uuid:member_id>", views.MemberView.as_view(), name="api-member"),
    path("invitations", views.InvitationList.as_view(), name="api-invitations"),
    path("invitations/<uuid:invitation_id>", views.InvitationView.as_view(), name="api-invitation"),
    path(
        "invitations/<uuid:invitation_id>/send",
        views.InvitationSending.as_view(),
        name="api-invitation-send",
    ),
    path("api-keys", views.ApiKeyList.as_view(), name="api-keys"),
    path("api-keys/<uuid:key_id>", views.ApiKeyView.as_view(), name="api-key"),
    path(
        "api-keys/<uuid:key_id>/rotate", views.ApiKeyRotationView.as_view(), name="api-key-rotate"
    ),
]
