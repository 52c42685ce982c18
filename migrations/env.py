"""What Alembic asks for: the connection to work on and the tables to compare with.

`hookwright migrate` hands a connection over in the configuration's attributes. A developer who runs
`alembic` by hand gets the database of the environment's settings instead.
"""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlmodel.sql.sqltypes import AutoString

from schemas.columns import UtcTime
from schemas.partitioned import is_compared
from schemas.tables import METADATA
from service.db import Database
from service.settings import load_settings


def render_type(kind: str, value: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    """Write our own types as the plain ones they are: a revision must not change with our code."""
    if kind != "type":
        return False
    if isinstance(value, UtcTime):
        return "sa.DateTime(timezone=True)"
    if isinstance(value, AutoString):
        return f"sa.String({value.length})" if value.length else "sa.String()"
    if isinstance(value, sa.JSON):
        autogenerate.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def run(connection: Connection) -> None:
    """Run what was asked for on this connection, in its transaction."""
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_item=render_type,
        include_object=is_compared if connection.dialect.name == "postgresql" else None,
        # Our SQLite connections begin transactions themselves (service/db.py), so that a revision
        # that fails half-way leaves nothing behind there either.
        transactional_ddl=True,
        user_module_prefix="sa.",
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    database = Database(load_settings().effective_database_url)
    with database.engine.begin() as opened:
        run(opened)
    database.dispose()
