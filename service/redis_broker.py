"""The broker over Redis: imported only where there is one."""

from __future__ import annotations

import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware
from redis.exceptions import RedisError

from service.errors import ConfigurationError

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 5.0


class QuietRedisBroker(RedisBroker):
    """Dramatiq's broker over Redis, without queues for delayed messages.

    What waits for its time is a row. A worker would ask Redis ten times a second for each of them.
    """

    failures: tuple[type[Exception], ...] = (RedisError,)
    """What its calls raise, beside Dramatiq's own errors, when Redis is away."""

    def get_declared_delay_queues(self) -> set[str]:
        """Give none, so that no worker asks for them."""
        return set()

    def length(self, queue: str) -> int:
        """Give how many messages wait in a queue. Raises RedisError."""
        length: int = self.client.llen(f"{self.namespace}:{queue}")
        return length


def make_redis_broker(
    redis_url: str, *, namespace: str, middleware: list[Middleware]
) -> QuietRedisBroker:
    """Build the broker. Nothing connects yet. Raises ConfigurationError for a wrong address."""
    try:
        client = redis.Redis.from_url(
            redis_url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
        )
        # Options that there are none of would be met by the first to connect. This does not.
        client.connection_pool.make_connection()
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            "HOOKWRIGHT_REDIS_URL is no address of a Redis",
            hint="write redis://:password@host:6379/0, or rediss://… with TLS",
        ) from error
    return QuietRedisBroker(  # type: ignore[no-untyped-call]  # dramatiq gives no types here
        client=client, namespace=namespace, middleware=middleware
    )
