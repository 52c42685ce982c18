"""What tables are made of: column types that mean the same on both databases.

SQLModel needs the column types spelled out: its mapping of `datetime` and of enums differs between
releases, and enums would be stored by member name. Enums are kept as text by value here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, cast

from sqlalchemy import JSON, DateTime, Dialect, MetaData, String, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from schemas.ids import new_id

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
NAME_LENGTH = 200
STATE_LENGTH = 20


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC in and out: `timestamptz` on PostgreSQL, ISO-like text without zone on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; keep UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a time without zone cannot be stored"
            raise ValueError(message)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JSON_TYPE = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def id_column() -> Any:
    """Give a primary key: a UUIDv7 made by us."""
    return Field(default_factory=new_id, sa_type=Uuid, primary_key=True)


def time_column(*, index: bool = False, null: bool = False) -> Any:
    """Give a time in aware UTC."""
    if null:
        return Field(default=None, sa_type=UtcTime, nullable=True, index=index)
    return Field(sa_type=UtcTime, nullable=False, index=index)


def text_column(length: int = NAME_LENGTH, **more: Any) -> Any:
    """Give a text of at most so many characters."""
    return Field(sa_type=String(length), **more)


def json_column(**more: Any) -> Any:
    """Give a JSON object, empty by default."""
    return Field(default_factory=dict, sa_type=JSON_TYPE, nullable=False, **more)


class Table(SQLModel):
    """Base of every table.

    SQLModel hands each value to Pydantic, which checks none of them here, and to SQLAlchemy, which
    notes what the value was before: for a worker that costs more than storing the row. So a new row
    just has its values, and a change is only told to SQLAlchemy.
    """

    model_config = {"defer_build": True}
    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)

    def __init__(self, **values: Any) -> None:
        """Make a row that is in no session yet. Raises TypeError for what is no column."""
        plain, made = _defaults(type(self))
        if unknown := values.keys() - type(self).model_fields.keys():
            message = f"{type(self).__name__} has no {', '.join(sorted(unknown))}"
            raise TypeError(message)
        columns = self.__dict__
        columns.update(plain)
        for name, make in made:
            if name not in values:
                columns[name] = make()
        columns.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        """Change a column: SQLAlchemy's descriptor notes it for the next flush."""
        object.__setattr__(self, name, value)


Makers = tuple[tuple[str, Callable[[], Any]], ...]


@cache
def _defaults(model: type[Table]) -> tuple[dict[str, Any], Makers]:
    """Give the values of columns that nobody names, and what makes those that are made anew."""
    fields = model.model_fields.items()
    made = tuple(
        (name, cast("Callable[[], Any]", field.default_factory))
        for name, field in fields
        if field.default_factory is not None
    )
    plain = {name: field.default for name, field in fields if not field.is_required()}
    return {name: plain[name] for name in plain.keys() - dict(made)}, made
