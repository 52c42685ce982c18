"""The receiver that a good engineer would write by hand: FastAPI, SQLModel and Dramatiq.

It reads the raw body, verifies the HMAC in constant time, inserts one row and commits it through a
SQLModel session with a pooled engine, enqueues one Dramatiq message with the row's id, and answers.
A duplicate is found by the unique key. Routes are synchronous: FastAPI runs them in its threads,
and on PostgreSQL the pool has as many connections as work at once. On SQLite it is that which
SQLAlchemy makes: five connections and ten more. `make_queued_app` has one: SQLite lets one write at
a time and makes others sleep and ask again, where threads that queue for one connection do not.
`make_blocking_app` has the same route as `async def`: it holds up the event loop while it commits,
and every other request with it, but needs no threads.

It has only the columns and indexes that it needs, which are fewer than the door's.
"""

import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any
from uuid import UUID, uuid4

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from sqlalchemy import JSON, DateTime, LargeBinary
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, create_engine

from bench.payload import SECRET

POOL_SIZE = 40
POOL_OVERFLOW = 0


class Delivery(SQLModel, table=True):
    """One stored delivery."""

    __tablename__ = "handwritten_deliveries"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    delivery_id: str = Field(unique=True)
    event: str
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
    headers: dict[str, str] = Field(sa_type=JSON)
    body: bytes = Field(sa_type=LargeBinary)


def make_app() -> FastAPI:
    """Build the application from the environment."""
    is_sqlite = os.environ["BENCH_DATABASE_URL"].startswith("sqlite")
    return _app({} if is_sqlite else {"pool_size": POOL_SIZE, "max_overflow": POOL_OVERFLOW})


def make_queued_app() -> FastAPI:
    """Build the same with one connection to the database, for which the threads queue."""
    return _app({"pool_size": 1, "max_overflow": 0})


def make_blocking_app() -> FastAPI:
    """Build the same with a route that blocks the event loop; it needs one connection."""
    return _app({"pool_size": 1, "max_overflow": 0}, form=_as_async_def)


def _as_async_def(route: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """Give the route as if it were written as `async def`, with the same lines in it."""

    @wraps(route)
    async def blocking(**arguments: Any) -> dict[str, Any]:
        return route(**arguments)

    return blocking


def _app(
    pool: dict[str, int], *, form: Callable[..., Callable[..., Any]] = lambda route: route
) -> FastAPI:
    url = os.environ["BENCH_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    is_sqlite = url.startswith("sqlite")
    engine = create_engine(url, **pool)
    if is_sqlite:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    SQLModel.metadata.create_all(engine, tables=[Delivery.__table__])  # type: ignore[attr-defined]
    broker = RedisBroker(url=os.environ["BENCH_REDIS_URL"], namespace="handwritten")  # type: ignore[no-untyped-call]

    @dramatiq.actor(broker=broker, queue_name="handwritten")
    def process(delivery: str) -> None:
        """Stand for the work, which is not measured."""

    app = FastAPI()

    async def raw_body(request: Request) -> bytes:
        return await request.body()

    @app.post("/hooks/github", status_code=202)
    @form
    def receive(
        request: Request,
        body: Annotated[bytes, Depends(raw_body)],
        x_hub_signature_256: Annotated[str, Header()],
        x_github_delivery: Annotated[str, Header()],
        x_github_event: Annotated[str, Header()],
    ) -> dict[str, Any]:
        expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, x_hub_signature_256):
            raise HTTPException(401, "invalid signature")
        delivery = Delivery(
            delivery_id=x_github_delivery,
            event=x_github_event,
            received_at=datetime.now(UTC),
            headers=dict(request.headers),
            body=body,
        )
        with Session(engine, expire_on_commit=False) as session:
            session.add(delivery)
            try:
                session.commit()
            except IntegrityError:
                return {"status": "duplicate"}
        process.send(str(delivery.id))
        return {"id": str(delivery.id), "status": "accepted"}

    return app
