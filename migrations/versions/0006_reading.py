"""Indexes for every list, full-text search of events, and statistics that are kept as rows come.

What a database does here by itself it does for whoever writes: triggers of `events`, `deliveries`,
`runs`, `effects` and `audit_events` note which combinations of values there are (`kinds`) and count
what happens (`tallies`, on SQLite at once `statistics`). A delivery that comes has no trigger.

On PostgreSQL the words of an event are a column that the database makes; to add it, the rows of
`events` are written anew, about 40 seconds for a million. Meanwhile nobody reads or writes events
or deliveries. SQLite takes about a minute for a million.

Revision: 0006, after: 0005
"""
# ruff: noqa: S608  # every statement is put together of our own words

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
FINAL = "('succeeded', 'failed', 'cancelled', 'skipped')"
IS_ROOT = sa.text("parent_id IS NULL")
IS_BRANCH = sa.text("parent_id IS NOT NULL")
OF_SOURCE = "coalesce(source, '')"
LONGEST_TEXT = 20_000
"""Characters of one event that are searched."""

NEW = (
    ("ix_events_vendor_source_type_id", "events", ("vendor", OF_SOURCE, "type", "id"), None),
    ("ix_events_subject_id", "events",
     ("subject", "id", "vendor", "source", "type", "received_at"), None),
    ("ix_deliveries_source_state_id", "deliveries", ("source", "state", "id"), None),
    ("ix_runs_workflow_status_id", "runs", ("workflow", "status", "id"), IS_ROOT),
    ("ix_runs_parent_id_id", "runs", ("parent_id", "id"), IS_BRANCH),
    ("ix_waits_kind_run_id", "waits", ("kind", "run_id"), None),
    ("ix_effects_action_connection_state_id", "effects",
     ("action", "connection", "state", "id"), None),
    ("ix_audit_events_action_by_id", "audit_events", ("action", "by", "id"), None),
    ("ix_audit_events_subject_id", "audit_events", ("subject", "id"), None),
    ("ix_alerts_state_severity_id", "alerts", ("state", "severity", "id"), None),
    ("ix_alerts_key_id", "alerts", ("key", "id"), None),
    ("ix_reconciliations_source_id", "reconciliations", ("source", "id"), None),
    ("ix_gaps_open", "gaps", ("id",), sa.text("state = 'open'")),
    # All that a list of refused requests is narrowed by: there are 10,000 of them at most.
    ("ix_rejections_listed", "rejections",
     ("id", "source", "address", "reason", "cause", "received_at"), None),
)  # fmt: skip
"""Indexes: the name, the table, the columns, and the condition of those that hold some rows."""
INCLUDED = {"ix_events_vendor_source_type_id": ["source", "received_at"]}
"""What PostgreSQL keeps in an index besides, so that events of a time are counted in it alone: each
row of a kind is on another page. (`source` it wants to see beside what is made of it.)"""
OLD = (
    ("ix_events_type", "events", ("type",)),
    ("ix_deliveries_received_at", "deliveries", ("received_at",)),
    ("ix_runs_workflow", "runs", ("workflow",)),
    ("ix_runs_created_at", "runs", ("created_at",)),
    ("ix_audit_events_action", "audit_events", ("action",)),
    ("ix_audit_events_subject", "audit_events", ("subject",)),
    ("ix_alerts_key", "alerts", ("key",)),
    ("ix_reconciliations_source", "reconciliations", ("source",)),
)
TIMES = {
    "events": "received_at",
    "deliveries": "received_at",
    "runs": "created_at",
    "effects": "intended_at",
    "audit_events": "at",
    "alerts": "opened_at",
}
"""The lists that are narrowed by time, and the column that says it. Ids are times as well: the few
rows of which the id tells another time have an index of their own."""


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    _make_tables()
    for name, table, _ in OLD:
        op.drop_index(name, table_name=table)
    for name, table, columns, condition in NEW:
        op.create_index(
            name,
            table,
            [sa.text(one) if "(" in one else one for one in columns],
            postgresql_where=condition,
            sqlite_where=condition,
            postgresql_include=INCLUDED.get(name),
        )
    odd = SQLITE_ODD if is_sqlite else POSTGRES_ODD
    for table, column in TIMES.items():
        # At the door it costs nothing to see that a row is not one of these.
        is_late = "rejection_id IS NOT NULL"
        where = is_late if table == "deliveries" else odd.format(time=f'"{column}"')
        op.execute(f"CREATE INDEX ix_{table}_odd_times ON {table} (id) WHERE {where}")
    for statement in SQLITE if is_sqlite else POSTGRES:
        op.execute(sa.text(statement.replace(":", r"\:")))
    _count_what_is_there(is_sqlite=is_sqlite)


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_BACK if is_sqlite else POSTGRES_BACK:
        op.execute(statement)
    for table in TIMES:
        op.drop_index(f"ix_{table}_odd_times", table_name=table)
    for name, table, _, _ in NEW:
        op.drop_index(name, table_name=table)
    for name, table, columns in OLD:
        op.create_index(name, table, list(columns))
    for table in ("tallies", "statistics", "kinds"):
        op.drop_table(table)


def _make_tables() -> None:
    op.create_table(
        "kinds",
        sa.Column("listed", sa.String(length=20), nullable=False),
        sa.Column("one", sa.String(length=200), nullable=False),
        sa.Column("two", sa.String(length=200), nullable=False),
        sa.Column("three", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("listed", "one", "two", "three", name=op.f("pk_kinds")),
    )
    counted = (
        ("counted", 20), ("source", 200), ("vendor", 200), ("type", 200), ("workflow", 200),
        ("state", 20),
    )  # fmt: skip
    op.create_table(
        "statistics",
        sa.Column("span", sa.String(length=4), nullable=False),
        sa.Column("begins", TIME, nullable=False),
        *(sa.Column(name, sa.String(length=length), nullable=False) for name, length in counted),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "span", "begins", *(name for name, _ in counted), name=op.f("pk_statistics")
        ),
    )
    op.create_table(
        "tallies",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("begins", TIME, nullable=False),
        sa.Column("counted", sa.String(length=20), nullable=False),
        *(
            sa.Column(name, sa.String(length), server_default=sa.text("''"), nullable=False)
            for name, length in counted[1:]
        ),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tallies")),
    )


def _count_what_is_there(*, is_sqlite: bool) -> None:
    hour = SQLITE_HOUR if is_sqlite else POSTGRES_HOUR
    day = SQLITE_DAY if is_sqlite else POSTGRES_DAY
    for listed, columns in (
        ("events", f"vendor, {OF_SOURCE}, type"),
        ("deliveries", "vendor, source, ''"),
        ("runs", "workflow, '', ''"),
        ("effects", "action, connection, ''"),
        ("audit_events", "action, \"by\", ''"),
    ):
        op.execute(f"INSERT INTO kinds SELECT DISTINCT '{listed}', {columns} FROM {listed}")
    columns = "counted, source, vendor, type, workflow, state"
    for begins, values, table in (
        ("received_at", f"'events', {OF_SOURCE}, vendor, type, '', ''", "events"),
        ("received_at", "'deliveries', source, vendor, '', '', state",
         "deliveries WHERE state <> 'received'"),
        ("created_at", "'runs', '', '', '', workflow, 'begun'", "runs WHERE parent_id IS NULL"),
        ("coalesce(ended_at, created_at)", "'runs', '', '', '', workflow, status",
         f"runs WHERE parent_id IS NULL AND status IN {FINAL}"),
    ):  # fmt: skip
        for span, beginning in (("hour", hour), ("day", day)):
            op.execute(
                f"INSERT INTO statistics (span, begins, {columns}, count)"
                f" SELECT '{span}', {beginning.format(begins)}, {values}, count(*) FROM {table}"
                " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"
            )


# --- PostgreSQL -------------------------------------------------------------------------------

POSTGRES_HOUR = "date_trunc('hour', {}, 'UTC')"
POSTGRES_DAY = "date_trunc('day', {}, 'UTC')"
_SECONDS = "(('x' || translate(left(CAST(id AS text), 13), '-', ''))::bit(48)::bigint / 1000.0)"
POSTGRES_ODD = (
    f"{{time}} < to_timestamp({_SECONDS} - 60) OR {{time}} > to_timestamp({_SECONDS} + 60)"
)
_STRINGS = "jsonb_path_query_array(facts, 'strict $.** ? (@.type() == \"string\")', '{}', true)"
_TEXT = (
    f"type || ' ' || vendor || ' ' || vendor_type || ' ' || {OF_SOURCE} || ' '"
    rf" || replace(coalesce(subject, ''), '\', '\\') || ' ' || {_STRINGS}::text"
)
# With these between them, PostgreSQL takes several words for one (an address, a file, a number with
# a sign). The end of a line is two signs in JSON, of which the second is a letter; so is a
# backslash, which no letter behind it may be taken for part of.
_JOINING = r"'[./@<&+~-]|\\\\|\\[nrt]'"
_WORDS = (
    f"strip(to_tsvector('simple', regexp_replace(left({_TEXT}, {LONGEST_TEXT}),"
    f" {_JOINING}, ' ', 'g')))"
)
_KINDS = "INSERT INTO kinds (listed, one, two, three)"


def _of_one(listed: str, one: str, two: str) -> str:
    """Give the function of a trigger that notes what kind a row is of."""
    return f"""
        CREATE FUNCTION note_{listed}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (
                SELECT FROM kinds
                WHERE listed = '{listed}' AND one = {one} AND two = {two} AND three = ''
            ) THEN
                {_KINDS} VALUES ('{listed}', {one}, {two}, '') ON CONFLICT DO NOTHING;
            END IF;
            RETURN NULL;
        END $$
        """


POSTGRES = (
    f"ALTER TABLE events ADD COLUMN words tsvector GENERATED ALWAYS AS ({_WORDS}) STORED",
    "CREATE INDEX ix_events_words ON events USING gin (words)",
    f"""
    CREATE FUNCTION note_events() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {_KINDS} SELECT DISTINCT 'events', vendor, {OF_SOURCE}, type FROM fresh
        ON CONFLICT DO NOTHING;
        INSERT INTO tallies (begins, counted, source, vendor, type, count)
        SELECT {POSTGRES_HOUR.format("received_at")}, 'events', {OF_SOURCE}, vendor, type, count(*)
        FROM fresh GROUP BY 1, 3, 4, 5;
        RETURN NULL;
    END $$
    """,
    ("CREATE TRIGGER note_events AFTER INSERT ON events REFERENCING NEW TABLE AS fresh"
    " FOR EACH STATEMENT EXECUTE FUNCTION note_events()"),
    f"""
    CREATE FUNCTION note_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {_KINDS} SELECT DISTINCT 'deliveries', vendor, source, '' FROM changed
        ON CONFLICT DO NOTHING;
        INSERT INTO tallies (begins, counted, source, vendor, state, count)
        SELECT {POSTGRES_HOUR.format("changed.received_at")}, 'deliveries', changed.source,
            changed.vendor, changed.state, count(*)
        FROM changed JOIN before ON before.id = changed.id AND before.state <> changed.state
        WHERE changed.state <> 'received' GROUP BY 1, 3, 4, 5;
        RETURN NULL;
    END $$
    """,
    ("CREATE TRIGGER note_deliveries AFTER UPDATE ON deliveries"
    " REFERENCING OLD TABLE AS before NEW TABLE AS changed"
    " FOR EACH STATEMENT EXECUTE FUNCTION note_deliveries()"),
    f"""
    CREATE FUNCTION note_runs_begun() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {_KINDS} SELECT DISTINCT 'runs', workflow, '', '' FROM fresh WHERE parent_id IS NULL
        ON CONFLICT DO NOTHING;
        INSERT INTO tallies (begins, counted, workflow, state, count)
        SELECT {POSTGRES_HOUR.format("created_at")}, 'runs', workflow, 'begun', count(*)
        FROM fresh WHERE parent_id IS NULL GROUP BY 1, 3;
        INSERT INTO tallies (begins, counted, workflow, state, count)
        SELECT {POSTGRES_HOUR.format("coalesce(ended_at, created_at)")}, 'runs', workflow, status,
            count(*)
        FROM fresh WHERE parent_id IS NULL AND status IN {FINAL} GROUP BY 1, 3, 4;
        RETURN NULL;
    END $$
    """,
    ("CREATE TRIGGER note_runs_begun AFTER INSERT ON runs REFERENCING NEW TABLE AS fresh"
    " FOR EACH STATEMENT EXECUTE FUNCTION note_runs_begun()"),
    f"""
    CREATE FUNCTION note_runs_ended() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO tallies (begins, counted, workflow, state, count)
        VALUES ({POSTGRES_HOUR.format("coalesce(NEW.ended_at, now())")}, 'runs', NEW.workflow,
            NEW.status, 1);
        RETURN NULL;
    END $$
    """,
    # By rows: the many other changes of a run cost nothing.
    (f"CREATE TRIGGER note_runs_ended AFTER UPDATE OF status ON runs FOR EACH ROW"
    f" WHEN (NEW.parent_id IS NULL AND OLD.status <> NEW.status AND NEW.status IN {FINAL})"
    f" EXECUTE FUNCTION note_runs_ended()"),
    _of_one("effects", "NEW.action", "NEW.connection"),
    _of_one("audit_events", "NEW.action", 'NEW."by"'),
    *(
        f"CREATE TRIGGER note_{table} AFTER INSERT ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION note_{table}()"
        for table in ("effects", "audit_events")
    ),
)  # fmt: skip
_NOTED = {
    "note_events": "events",
    "note_deliveries": "deliveries",
    "note_runs_begun": "runs",
    "note_runs_ended": "runs",
    "note_effects": "effects",
    "note_audit_events": "audit_events",
}
POSTGRES_BACK = (
    *(f"DROP TRIGGER {name} ON {table}" for name, table in _NOTED.items()),
    *(f"DROP FUNCTION {name}()" for name in _NOTED),
    "DROP INDEX ix_events_words",
    "ALTER TABLE events DROP COLUMN words",
)

# --- SQLite -----------------------------------------------------------------------------------

SQLITE_HOUR = "substr({}, 1, 13) || ':00:00.000000'"
SQLITE_DAY = "substr({}, 1, 10) || ' 00:00:00.000000'"
_MILLISECONDS = "CAST((julianday({{time}}) - 2440587.5) * 86400000 AS INTEGER)"
SQLITE_ODD = (
    f"id < printf('%012x', max(0, {_MILLISECONDS} - 60000))"
    f" OR id > printf('%012x', {_MILLISECONDS} + 60000)"
).replace("{{time}}", "{time}")


def _text_of(row: str) -> str:
    return (
        f"substr({row}.type || ' ' || {row}.vendor || ' ' || {row}.vendor_type || ' ' ||"
        f" coalesce({row}.source, '') || ' ' || coalesce({row}.subject, '') || ' ' ||"
        f" coalesce((SELECT group_concat(value, ' ') FROM json_tree({row}.facts)"
        f" WHERE json_tree.type = 'text'), ''), 1, {LONGEST_TEXT})"
    )


def _counted(time: str, **values: str) -> str:
    """Give the statements that count one more, in its hour and in its day."""
    named = {"counted": "''", "source": "''", "vendor": "''", "type": "''", "workflow": "''"}
    named |= {"state": "''"} | values
    return "".join(
        f" INSERT INTO statistics (span, begins, {', '.join(named)}, count)"
        f" VALUES ('{span}', {begins.format(time)}, {', '.join(named.values())}, 1)"
        f" ON CONFLICT (span, begins, {', '.join(named)}) DO UPDATE SET count = count + 1;"
        for span, begins in (("hour", SQLITE_HOUR), ("day", SQLITE_DAY))
    )


def _noted(listed: str, values: str) -> str:
    return (
        f" {_KINDS} VALUES ('{listed}', {values}) ON CONFLICT (listed, one, two, three) DO NOTHING;"
    )


_NONE = "''"
_OF_EVENT = {
    "counted": "'events'",
    "source": "coalesce(NEW.source, '')",
    "vendor": "NEW.vendor",
    "type": "NEW.type",
}
_OF_DELIVERY = {
    "counted": "'deliveries'",
    "source": "NEW.source",
    "vendor": "NEW.vendor",
    "state": "NEW.state",
}
_OF_RUN = {"counted": "'runs'", "workflow": "NEW.workflow"}
_ENDED = _counted("coalesce(NEW.ended_at, NEW.created_at)", **_OF_RUN, state="NEW.status")
_FIND = (
    "INSERT INTO event_words (rowid, words)"
    f" SELECT number, {_text_of('NEW')} FROM event_numbers WHERE event_id = NEW.id;"
)

SQLITE = (
    # Numbers that rise: what SQLite finds by words it can give in their order. A row's own number
    # would change when the file is compacted.
    "CREATE TABLE event_numbers (number INTEGER PRIMARY KEY, event_id CHAR(32) NOT NULL UNIQUE)",
    (
        "CREATE VIRTUAL TABLE event_words USING fts5(words, content='', detail=none, columnsize=0,"
        " tokenize='unicode61 remove_diacritics 0')"
    ),
    "INSERT INTO event_numbers (event_id) SELECT id FROM events ORDER BY id",
    (
        "INSERT INTO event_words (rowid, words)"
        f" SELECT number, {_text_of('events')} FROM event_numbers"
        " JOIN events ON events.id = event_id ORDER BY number"
    ),
    (
        "CREATE TRIGGER note_events AFTER INSERT ON events BEGIN"
        " INSERT INTO event_numbers (event_id) VALUES (NEW.id);"
        f" {_FIND}"
        f" {_noted('events', 'NEW.vendor, coalesce(NEW.source, ' + _NONE + '), NEW.type')}"
        f" {_counted('NEW.received_at', **_OF_EVENT)} END"
    ),
    (
        "CREATE TRIGGER forget_events BEFORE DELETE ON events BEGIN"
        " INSERT INTO event_words (event_words, rowid, words)"
        f" SELECT 'delete', number, {_text_of('OLD')} FROM event_numbers WHERE event_id = OLD.id;"
        " DELETE FROM event_numbers WHERE event_id = OLD.id; END"
    ),
    (
        "CREATE TRIGGER note_deliveries AFTER UPDATE OF state ON deliveries"
        " WHEN OLD.state <> NEW.state AND NEW.state <> 'received' BEGIN"
        f" {_noted('deliveries', 'NEW.vendor, NEW.source, ' + _NONE)}"
        f" {_counted('NEW.received_at', **_OF_DELIVERY)} END"
    ),
    (
        "CREATE TRIGGER note_runs_begun AFTER INSERT ON runs WHEN NEW.parent_id IS NULL BEGIN"
        f" {_noted('runs', 'NEW.workflow, ' + _NONE + ', ' + _NONE)}"
        f" {_counted('NEW.created_at', **_OF_RUN, state=chr(39) + 'begun' + chr(39))} END"
    ),
    (
        "CREATE TRIGGER note_runs_ended_at_once AFTER INSERT ON runs"
        f" WHEN NEW.parent_id IS NULL AND NEW.status IN {FINAL} BEGIN {_ENDED} END"
    ),
    (
        "CREATE TRIGGER note_runs_ended AFTER UPDATE OF status ON runs WHEN NEW.parent_id IS NULL"
        f" AND OLD.status <> NEW.status AND NEW.status IN {FINAL} BEGIN {_ENDED} END"
    ),
    (
        "CREATE TRIGGER note_effects AFTER INSERT ON effects BEGIN"
        f" {_noted('effects', 'NEW.action, NEW.connection, ' + _NONE)} END"
    ),
    (
        "CREATE TRIGGER note_audit_events AFTER INSERT ON audit_events BEGIN"
        f" {_noted('audit_events', 'NEW.action, NEW.' + chr(34) + 'by' + chr(34) + ', ' + _NONE)}"
        " END"
    ),
)
SQLITE_BACK = (
    *(f"DROP TRIGGER {name}" for name in (*_NOTED, "forget_events", "note_runs_ended_at_once")),
    "DROP TABLE event_words",
    "DROP TABLE event_numbers",
)
