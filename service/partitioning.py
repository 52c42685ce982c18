"""A chore: partitions for the time to come, on PostgreSQL, before anything of it is stored.

Who comes too late loses nothing: rows stand in the partition of the rest then, and partitions begin
behind them.
"""

from __future__ import annotations

import structlog

from schemas.partitioned import PARTITIONED, rest_of
from service.errors import Unavailable
from service.runtime import Runtime
from service.store.partitions import DAY, is_locked, make_ahead, rows_since
from service.unit_of_work import unit_of_work

log = structlog.get_logger(__name__)

MOST_COUNTED = 1000


def make_partitions(runtime: Runtime) -> bool:
    """Make the partitions that are needed next; there is never more to do. Raises Unavailable.

    Where others have a table for long it is left to the next time: it is done days before.
    """
    if runtime.database.is_sqlite:
        return False
    for table in PARTITIONED:
        try:
            with unit_of_work(runtime.database, runtime.queue) as work:
                now = runtime.clock()
                made = list(make_ahead(work.session, table, now))
                outside = rows_since(work.session, rest_of(table), now - DAY, MOST_COUNTED)
        except Unavailable as error:
            if not is_locked(error.__cause__):
                raise
            log.info("partition_put_off", table=table)
        else:
            if made:
                log.info("partitions_made", partitions=made)
            if outside:
                log.warning("partition_missing", table=table, rows=outside)
    return False
