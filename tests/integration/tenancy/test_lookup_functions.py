"""The complete list of what can look across organisations: SECURITY DEFINER functions, and who owns them."""

from __future__ import annotations

from django.db import connection

from rootstock.tenancy.rls import APP_ROLE, LOOKUP_ROLE, call_lookup

# To add one: a `LookupFunction` in a migration, its line here, and its reason in docs/security.md.
LOOKUP_FUNCTIONS = {
    # before an organisation is known
    "api_key_lookup",
    "finance_source_by_hook",
    "invitation_lookup",
    "memberships_of",
    "organisation_by_slug",
    "service_channel_by_key",
    "slug_taken",
    # sweepers: which message, job, key or detector of any organisation is due, and how many wait
    "finance_due_organisations",
    "finance_loops_due",
    "finance_due_reports",
    "finance_sources_claim",
    "idempotency_expire",
    "jobs_count",
    "jobs_expired",
    "modelhub_monitored_organisations",
    "outbox_claim",
    "outbox_lag",
    "service_due_organisations",
    # within the caller's own organisation: what row-level security would keep from an index
    "finance_documents_having",
    "vectors_words_having",
    # what the web role can only add to, taken back for one conversation of the organisation in force
    "service_events_erase",
}
# Owned by whoever runs the migrations. They make and drop partitions of marked tables, and tables of vectors for spaces
# that the caller's organisation has, and nothing else.
OWNER_FUNCTIONS = {"partitions_maintain", "vectors_space_drop", "vectors_space_make"}
# What the look-up role may read or, where it is said there, write. Texts that people wrote are not among them, but for
# the state of a document.
LOOKUP_TABLES = {
    "accounts_apikey",
    "customer_service_channel",
    "customer_service_conversation",
    "customer_service_conversationentry",
    "customer_service_source",
    "finance_sentiment_document",
    "finance_sentiment_loopsettings",
    "finance_sentiment_documentwords",
    "finance_sentiment_monitorclock",
    "finance_sentiment_reportsettings",
    "finance_sentiment_source",
    "finance_sentiment_sourcepolling",
    "jobs_job",
    "modelhub_alarm",
    "modelhub_deployment",
    "modelhub_trafficbucket",
    "outbox_idempotencykey",
    "outbox_outboxmessage",
    "realtime_event",
    "tenancy_invitation",
    "tenancy_membership",
    "tenancy_organisation",
    "vectors_itemwords",
}


def definers() -> dict[str, tuple[str, str, list[str]]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.proname, r.rolname, array_to_string(p.proconfig, ','), "
            "  ARRAY(SELECT coalesce(g.rolname, 'PUBLIC') FROM aclexplode(p.proacl) a "
            "        LEFT JOIN pg_roles g ON g.oid = a.grantee WHERE a.privilege_type = 'EXECUTE') "
            "FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner "
            "WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace"
        )
        return {name: (owner, config, grants) for name, owner, config, grants in cursor.fetchall()}


def test_the_list_is_complete(db):
    assert set(definers()) == LOOKUP_FUNCTIONS | OWNER_FUNCTIONS, (
        f"SECURITY DEFINER functions changed: edit the list in {__file__}"
    )


def test_each_belongs_to_the_lookup_role_and_has_a_fixed_search_path(db):
    for name, (owner, config, grants) in definers().items():
        if name in LOOKUP_FUNCTIONS:
            assert owner == LOOKUP_ROLE, name
        assert "search_path=public, pg_temp" in config, name
        assert "PUBLIC" not in grants, name
        assert APP_ROLE in grants, name


def test_lookup_role_sees_only_what_functions_need(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_policies WHERE policyname = 'lookup' ORDER BY 1")
        tables = {name for (name,) in cursor.fetchall()}
    assert tables == LOOKUP_TABLES, (
        f"the look-up role sees other tables: edit the list in {__file__}"
    )


def test_a_key_of_any_organisation_is_found_by_its_prefix_alone(organisation, make_key):
    token = make_key(organisation)
    prefix = token.split("_")[1]
    (row,) = call_lookup("api_key_lookup", prefix)
    assert row["organisation_id"] == organisation.pk
    assert call_lookup("api_key_lookup", "%") == []
