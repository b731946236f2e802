"""Migration operations for row-level security, and the call of a look-up function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.migrations.operations.base import Operation

APP_ROLE = "rootstock_app"
LOOKUP_ROLE = "rootstock_lookup"
TENANT_POLICY = "nullif(current_setting('rootstock.organisation', true), '')::uuid"


class _Sql(Operation):
    """An operation that runs SQL and changes no model state."""

    reversible = True
    reduces_to_sql = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Model state does not change."""

    def statements(self) -> list[str]:
        raise NotImplementedError

    def reverse_statements(self) -> list[str]:
        raise NotImplementedError

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        for statement in self.statements():
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        for statement in self.reverse_statements():
            schema_editor.execute(statement, params=None)


class EnableRowLevelSecurity(_Sql):
    """Show and accept only rows of the organisation that the transaction has set.

    FORCE makes the policy hold for the owner of the table as well. `column` is `organisation_id`, or `id` for the
    organisation table itself. `append_only` withholds UPDATE and DELETE from the web and worker role.
    """

    def __init__(
        self, table: str, column: str = "organisation_id", append_only: bool = False
    ) -> None:
        self.table = table
        self.column = column
        self.append_only = append_only

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return (
            type(self).__name__,
            [self.table],
            {"column": self.column, "append_only": self.append_only},
        )

    def describe(self) -> str:
        return f"Row-level security on {self.table}"

    def statements(self) -> list[str]:
        condition = f"{self.column} = {TENANT_POLICY}"
        rights = "SELECT, INSERT" if self.append_only else "SELECT, INSERT, UPDATE, DELETE"
        return [
            f"ALTER TABLE {self.table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant ON {self.table} USING ({condition}) WITH CHECK ({condition})",
            f"REVOKE ALL ON {self.table} FROM {APP_ROLE}",
            f"GRANT {rights} ON {self.table} TO {APP_ROLE}",
        ]

    def reverse_statements(self) -> list[str]:
        return [
            f"DROP POLICY IF EXISTS tenant ON {self.table}",
            f"ALTER TABLE {self.table} NO FORCE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} DISABLE ROW LEVEL SECURITY",
        ]


class LookupFunction(_Sql):
    """A SECURITY DEFINER function: the only way to read across organisations.

    It is owned by `rootstock_lookup`, a role that cannot sign in and that gets a policy on exactly the tables named in
    `reads` and `writes`. `body` is the SQL (`language sql`) or PL/pgSQL text; `arguments` and `returns` are as in
    CREATE FUNCTION. A test holds the list of all such functions.
    """

    def __init__(
        self,
        name: str,
        *,
        arguments: str,
        returns: str,
        body: str,
        reads: Sequence[str] = (),
        writes: Sequence[str] = (),
        language: str = "sql",
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.returns = returns
        self.body = body
        self.reads = list(reads)
        self.writes = list(writes)
        self.language = language

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return (
            type(self).__name__,
            [self.name],
            {
                "arguments": self.arguments,
                "returns": self.returns,
                "body": self.body,
                "reads": self.reads,
                "writes": self.writes,
                "language": self.language,
            },
        )

    def describe(self) -> str:
        return f"Look-up function {self.name}"

    def statements(self) -> list[str]:
        statements = [
            f"GRANT USAGE, CREATE ON SCHEMA public TO {LOOKUP_ROLE}",
        ]
        for table in dict.fromkeys([*self.reads, *self.writes]):
            rights = "SELECT, INSERT, UPDATE, DELETE" if table in self.writes else "SELECT"
            statements += [
                f"GRANT {rights} ON {table} TO {LOOKUP_ROLE}",
                f"DROP POLICY IF EXISTS lookup ON {table}",
                f"CREATE POLICY lookup ON {table} TO {LOOKUP_ROLE} USING (true) WITH CHECK (true)",
            ]
        signature = f"{self.name}({self.arguments})"
        return [
            *statements,
            f"CREATE OR REPLACE FUNCTION {signature} RETURNS {self.returns} LANGUAGE {self.language} "
            f"SECURITY DEFINER SET search_path = public, pg_temp AS $lookup${self.body}$lookup$",
            f"REVOKE ALL ON FUNCTION {self.name} FROM PUBLIC",
            f"GRANT EXECUTE ON FUNCTION {self.name} TO {APP_ROLE}",
            f"ALTER FUNCTION {self.name} OWNER TO {LOOKUP_ROLE}",
        ]

    def reverse_statements(self) -> list[str]:
        return [f"DROP FUNCTION IF EXISTS {self.name}"]


def call_lookup(name: str, *arguments: Any) -> list[dict[str, Any]]:
    """Rows of a SECURITY DEFINER look-up function, as dictionaries by column name."""
    if not name.isidentifier():
        raise ValueError(f"not a function name: {name!r}")
    marks = ", ".join(["%s"] * len(arguments))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name}({marks})", list(arguments))  # noqa: S608 - identifier checked above
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def tenant_tables() -> list[str]:
    """Names of all tables that carry an organisation, by the models that are installed."""
    from django.apps import apps

    return sorted(
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if any(getattr(field, "column", None) == "organisation_id" for field in model._meta.fields)
    )
