"""What a step of (d) and (e) does: one row inserted and committed, through a pooled engine."""

from __future__ import annotations

import os
from uuid import uuid4

from sqlalchemy import Engine, create_engine, text

TABLE = "bench_steps"
POOL_SIZE = 16
_CREATE = text(
    f"CREATE TABLE IF NOT EXISTS {TABLE} (id uuid PRIMARY KEY, run uuid NOT NULL,"
    " step text NOT NULL, number integer NOT NULL, at timestamptz NOT NULL DEFAULT now())"
)
_INSERT = text(
    f"INSERT INTO {TABLE} (id, run, step, number) VALUES (:id, :run, :step, :number)"  # noqa: S608  # our own constant
)


def open_engine() -> Engine:
    """Open the database that BENCH_DATABASE_URL names."""
    url = os.environ["BENCH_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    return create_engine(url, pool_size=POOL_SIZE, max_overflow=0)


def create_table(engine: Engine) -> None:
    """Make the table."""
    with engine.begin() as connection:
        connection.execute(_CREATE)


def insert_row(engine: Engine, run: str, step: str, number: int) -> str:
    """Store that a step was done; gives the row's id."""
    row_id = str(uuid4())
    with engine.begin() as connection:
        values = {"id": row_id, "run": run, "step": step, "number": number}
        connection.execute(_INSERT, values)
    return row_id
