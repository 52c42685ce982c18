"""A primary that is killed and replaced by its standby: every 2xx is in the new primary."""

from __future__ import annotations

import os

import psycopg
from sqlalchemy.engine import make_url

from service.db import Database
from tests.faults.database_kills import prepare
from tests.faults.proxy import Proxy
from tests.integration.door.receiver import BellBook, receiving
from tests.integration.door.test_faults import Senders
from tests.servers import PostgresServer, wait_until


class Standby(PostgresServer):
    """A server that follows another and confirms its commits."""

    def __init__(self, primary: PostgresServer) -> None:
        self._primary = primary
        super().__init__()

    def _make_cluster(self) -> None:
        if self._account is not None:
            os.chown(self.directory, self._account.pw_uid, self._account.pw_gid)
        self._perform(
            "pg_basebackup",
            *("-h", "127.0.0.1", "-p", str(self._primary.port), "-U", "postgres"),
            *("-D", str(self._data), "-R", "-X", "stream", "-c", "fast", "--no-sync"),
        )


def test_the_standby_takes_over_under_load() -> None:
    with PostgresServer() as primary:
        prepare(primary.url()).dispose()
        with Standby(primary) as standby, Proxy(primary.port) as proxy:
            require_standby(primary)
            through = make_url(primary.url()).set(port=proxy.port)
            database = Database(through.render_as_string(hide_password=False))
            with receiving(database, BellBook()) as receiver:
                with Senders(f"http://127.0.0.1:{receiver.port}/hooks/github") as senders:
                    wait_until(lambda: len(senders.stored) > 50, 30)
                    primary.kill()
                    # The address leads to the standby at once, which only reads for a moment yet.
                    proxy.target_port = standby.port
                    assert receiver.send("between").status_code == 503
                    before = len(senders.stored)
                    with psycopg.connect(standby.url(), autocommit=True) as admin:
                        # Nobody follows it that could confirm.
                        admin.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
                        admin.execute("SELECT pg_promote()")
                    wait_until(lambda: len(senders.stored) > before + 50, 30)
                stored = {row.delivery_key: str(row.id) for row in receiver.rows()}
            database.dispose()
    assert senders.stored.items() <= stored.items()


def require_standby(primary: PostgresServer) -> None:
    """Let no commit be done before the standby has it."""
    with psycopg.connect(primary.url(), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        admin.execute("SELECT pg_reload_conf()")
        follows = b"SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_until(lambda: (admin.execute(follows).fetchone() or (0,))[0], 20)
