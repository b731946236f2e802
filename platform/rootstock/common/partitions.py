"""Tables that grow without end, cut into ranges of time so that old rows are dropped as whole tables.

The role of the web process and the workers owns no table, so it can neither make nor drop a partition. Giving
workers the owner's password for one hourly task would undo that, so the work is done by one SECURITY DEFINER
function that belongs to whoever runs the migrations; it needs nothing but the migration itself, with the
embedded server and with an external one. What it can be asked to do is narrow: it touches only tables that a
migration has marked, makes only the next partitions, and drops only partitions that ended at least a week ago.

Nobody reads or writes a partition by its own name: the role has no rights on it, and row-level security without
any policy is forced on it as well. Rows are reached through the parent, under the parent's policy.
"""

from __future__ import annotations

from typing import Any, Literal

from django.conf import settings
from django.db import connection, models
from django.db.migrations.operations.base import Operation

Period = Literal["day", "week", "month"]

_FUNCTION = """
CREATE OR REPLACE FUNCTION partitions_maintain(parent text, keep_days integer)
RETURNS TABLE (action text, partition_name text) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $body$
DECLARE
    parent_id oid := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = 'public' AND c.relname = parent AND c.relkind = 'p');
    period text := substring(obj_description(parent_id, 'pg_class') FROM '^rootstock: a partition a (day|week|month)$');
    first timestamptz;
    last timestamptz;
    child record;
BEGIN
    IF period IS NULL THEN
        RAISE EXCEPTION 'not a table that is kept in partitions: %', parent;
    END IF;
    IF keep_days < 7 THEN
        RAISE EXCEPTION 'rows are kept for at least 7 days, not %', keep_days;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('partitions_maintain'));
    FOR ahead IN 0..3 LOOP
        first := date_trunc(period, now()) + ahead * ('1 ' || period)::interval;
        last := first + ('1 ' || period)::interval;
        partition_name := parent || to_char(first, '_YYYYMMDD');
        IF to_regclass(quote_ident(partition_name)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                           partition_name, parent, first, last);
            EXECUTE format('REVOKE ALL ON %I FROM rootstock_app', partition_name);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', partition_name);
            action := 'created';
            RETURN NEXT;
        END IF;
    END LOOP;
    FOR child IN
        SELECT c.relname,
               substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$TO \\('([^']+)'\\)$re$)::timestamptz AS ends
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = parent_id
    LOOP
        IF child.ends <= now() - keep_days * interval '1 day' THEN
            EXECUTE format('DROP TABLE %I', child.relname);
            action := 'dropped';
            partition_name := child.relname;
            RETURN NEXT;
        END IF;
    END LOOP;
END $body$
"""


class RangePartitioned(Operation):
    """Make the table of the CreateModel just before it a table of partitions by `column`.

    Use it in the same migration, after CreateModel and before EnableRowLevelSecurity, while the table is empty.
    The primary key becomes the model's key plus `column` (PostgreSQL wants it in every unique key), so the
    model may go on naming its `id` alone; any other unique constraint of the model must contain `column`.
    """

    reversible = True
    reduces_to_sql = False

    def __init__(self, table: str, column: str = "created_at", period: Period = "month") -> None:
        self.table = table
        self.column = column
        self.period = period

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """As written in the migration."""
        return (
            type(self).__name__,
            [self.table],
            {"column": self.column, "period": self.period},
        )

    def describe(self) -> str:
        """One line for the output of `migrate`."""
        return f"Keep {self.table} in partitions of one {self.period}"

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The model stays as CreateModel made it."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Replace the empty table by a partitioned one of the same columns, with its first partitions."""
        table, old = self.table, f"{self.table}_whole"
        key = _key_columns(_model_of(to_state, table))
        if self.column not in key:
            key.append(self.column)
        for statement in (
            f"ALTER TABLE {table} RENAME TO {old}",
            f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"
            f" PARTITION BY RANGE ({self.column})",
            f"DROP TABLE {old}",
            f"ALTER TABLE {table} ADD PRIMARY KEY ({', '.join(key)})",
            f"COMMENT ON TABLE {table} IS 'rootstock: a partition a {self.period}'",
            _FUNCTION,
            "REVOKE ALL ON FUNCTION partitions_maintain FROM PUBLIC",
            "GRANT EXECUTE ON FUNCTION partitions_maintain TO rootstock_app",
            f"SELECT partitions_maintain('{table}', NULL)",
        ):
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Nothing: the reverse of CreateModel drops the table with its partitions."""


def _model_of(state: Any, table: str) -> type[models.Model]:
    for model in state.apps.get_models(include_auto_created=True):
        if model._meta.db_table == table:
            found: type[models.Model] = model
            return found
    raise ValueError(
        f"no model has the table {table}: RangePartitioned comes after its CreateModel"
    )


def _key_columns(model: type[models.Model]) -> list[str]:
    return [str(field.column) for field in model._meta.pk_fields]


def maintain_partitions() -> list[tuple[str, str]]:
    """Make the coming partitions of every marked table and drop those older than the table's retention.

    `settings.ROOTSTOCK_RETENTION_DAYS` says for a table how many days are kept; a table it does not name is
    kept for ever. Returns ("created" or "dropped", name of the partition) for everything done.
    """
    done: list[tuple[str, str]] = []
    for table in partitioned_tables():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT action, partition_name FROM partitions_maintain(%s, %s)",
                [table, settings.ROOTSTOCK_RETENTION_DAYS.get(table)],
            )
            done += cursor.fetchall()
    return done


def partitioned_tables() -> list[str]:
    """The tables that a migration has marked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND c.relkind = 'p'"
            " AND obj_description(c.oid, 'pg_class') LIKE 'rootstock: a partition a %'"
            " ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]
