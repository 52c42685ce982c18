"""JSON that takes little room: what PostgreSQL compresses by itself, SQLite is given compressed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, Dialect, TypeDecorator
from sqlalchemy.types import TypeEngine

from schemas.columns import JSON_TYPE

COMPRESSED_FROM_BYTES = 1024
_LEVEL = 1
"""Some 20 µs for 2 kB, of which half is left."""


class CompactJson(TypeDecorator[Any]):
    """A JSON column. On SQLite a long text is kept as bytes: compressed, in the form of zlib."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Be to each database what other JSON columns are."""
        return dialect.type_descriptor(JSON_TYPE)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        """Compress on the way into SQLite."""
        write = super().bind_processor(dialect)
        if dialect.name != "sqlite" or write is None:
            return write

        def compress(value: Any) -> Any:
            text = write(value)
            if not isinstance(text, str) or len(text) < COMPRESSED_FROM_BYTES:
                return text
            return zlib.compress(text.encode(), _LEVEL)

        return compress

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Give the value, however it is kept."""
        read = super().result_processor(dialect, coltype)
        if dialect.name != "sqlite" or read is None:
            return read

        def decompress(value: Any) -> Any:
            return json.loads(zlib.decompress(value)) if isinstance(value, bytes) else read(value)

        return decompress
