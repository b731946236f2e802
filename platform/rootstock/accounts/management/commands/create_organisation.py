"""`manage.py create_organisation`: the first organisation of a fresh installation, or another one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import transaction

from rootstock.accounts.models import User
from rootstock.accounts.services import organisation_create, password_reset_link


class Command(BaseCommand):
    help = "Make an organisation with its first owner, and print the link that lets the owner in."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name and owner are needed."""
        parser.add_argument("--name", required=True, help="what the organisation is called")
        parser.add_argument(
            "--owner-email", required=True, help="the first owner; may exist already"
        )
        parser.add_argument("--owner-name", default="")
        parser.add_argument("--time-zone", default="UTC", help="such as Europe/Berlin")
        parser.add_argument(
            "--language", default="en", choices=[code for code, _name in settings.LANGUAGES]
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make both or neither."""
        email = options["owner_email"].strip().lower()
        try:
            validate_email(email)
            with transaction.atomic():
                owner = User.objects.filter(email=email).first()
                is_new = owner is None
                if owner is None:
                    owner = User.objects.create_user(email, None, name=options["owner_name"])
                organisation = organisation_create(
                    name=options["name"],
                    owner=owner,
                    time_zone=options["time_zone"],
                    language=options["language"],
                )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stdout.write(f"organisation {organisation.name} ({organisation.slug}) is there")
        if not is_new:
            self.stdout.write(f"{owner.email} has an account already and is its owner")
            return
        days = settings.PASSWORD_RESET_TIMEOUT // 86400
        self.stdout.write(
            f"{owner.email} chooses a password here, once, within {days} days:\n"
            f"{password_reset_link(owner)}"
        )
