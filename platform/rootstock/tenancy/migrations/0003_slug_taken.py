"""Whether a slug is taken by an organisation that the caller cannot see."""

from __future__ import annotations

from django.db import migrations

from rootstock.tenancy.rls import LookupFunction


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0002_organisations")]

    operations = [
        LookupFunction(
            "slug_taken",
            arguments="wanted varchar",
            returns="boolean",
            body="SELECT EXISTS (SELECT FROM tenancy_organisation WHERE slug = wanted)",
            reads=["tenancy_organisation"],
        ),
    ]
