"""The scope: one organisation's rows and no other's."""

from __future__ import annotations

import psycopg.errors
import pytest
from django.db import transaction
from django.db.utils import ProgrammingError

from rootstock.common.ids import uuid7
from rootstock.tenancy.models import Membership, Organisation
from rootstock.tenancy.scope import (
    NestedOrganisation,
    NoOrganisation,
    current_organisation_id,
    organisation_scope,
)


def test_no_scope_shows_nothing(organisation, make_user):
    make_user(organisation)
    assert Organisation.objects.count() == 0
    assert Membership.objects.count() == 0
    with pytest.raises(NoOrganisation):
        current_organisation_id()


def test_each_scope_shows_its_own_rows(organisation, organisation_b, make_user):
    make_user(organisation)
    make_user(organisation_b)
    for mine in (organisation, organisation_b):
        with organisation_scope(mine.pk):
            assert [row.pk for row in Organisation.objects.all()] == [mine.pk]
            assert {row.organisation_id for row in Membership.objects.all()} == {mine.pk}


def test_a_row_of_another_organisation_is_refused(organisation, organisation_b, make_user):
    user = make_user(organisation)
    with (
        organisation_scope(organisation.pk),
        pytest.raises(ProgrammingError) as error,
        transaction.atomic(),
    ):
        Membership.objects.create(user=user, role="viewer", organisation_id=organisation_b.pk)
    assert isinstance(error.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_scopes_do_not_nest_across_organisations(organisation, organisation_b):
    with organisation_scope(organisation.pk):
        with organisation_scope(organisation.pk):
            assert Organisation.objects.count() == 1
        with pytest.raises(NestedOrganisation), organisation_scope(organisation_b.pk):
            pass


def test_the_setting_does_not_outlive_the_scope_of_a_failed_block(organisation):
    with pytest.raises(ZeroDivisionError), organisation_scope(organisation.pk):
        Organisation.objects.update(name=str(1 / 0))
    assert Organisation.objects.count() == 0


def test_an_unknown_organisation_is_simply_empty(db):
    with organisation_scope(uuid7()):
        assert Organisation.objects.count() == 0
