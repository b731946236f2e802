"""Pages of this app."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from rootstock.accounts.views import people, settings, sign_in

app_name = "accounts"
urlpatterns = [
    path("sign-in/", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(next_page="accounts:sign-in"), name="sign-out"),
    path("password/", sign_in.reset, name="reset"),
    path("password/sent/", sign_in.reset_sent, name="reset-sent"),
    path("password/<uidb64>/<token>/", sign_in.ResetConfirm.as_view(), name="reset-confirm"),
    path("join/<str:token>/", sign_in.invitation, name="invitation"),
    path("organisation/switch/", sign_in.switch, name="switch"),
    path("account/", people.profile, name="profile"),
    path("settings/people/", people.people, name="people"),
    path("settings/people/invite/", people.invite, name="invite"),
    path("settings/people/<uuid:member_id>/role/", people.change_role, name="change-role"),
    path("settings/people/<uuid:member_id>/remove/", people.remove, name="remove"),
    path("settings/invitations/<uuid:invitation_id>/send/", people.resend, name="resend"),
    path("settings/invitations/<uuid:invitation_id>/revoke/", people.take_back, name="take-back"),
    path("settings/keys/", settings.keys, name="keys"),
    path("settings/keys/new/", settings.new_key, name="new-key"),
    path("settings/keys/<uuid:key_id>/", settings.key, name="key"),
    path("settings/keys/<uuid:key_id>/rotate/", settings.rotate_key, name="rotate-key"),
    path("settings/keys/<uuid:key_id>/revoke/", settings.revoke_key, name="revoke-key"),
    path("settings/organisation/", settings.organisation, name="organisation"),
]
