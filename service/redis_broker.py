"""The broker over Redis: imported only where there is one."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import redis
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.middleware import Middleware
from redis.exceptions import RedisError

from service.errors import ConfigurationError
from service.faults import note_fault

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 5.0
LISTEN_AGAIN_S = 1.0
"""After the connection that is listened on was lost. Meanwhile consumers ask by themselves."""
DEAF_PAUSE_S = 0.1
"""How long an idle consumer waits that would not hear of a job."""


class QuietRedisBroker(RedisBroker):
    """Dramatiq's broker over Redis, without queues for delayed messages.

    What waits for its time is a row. A worker would ask Redis ten times a second for each of them.
    Consumers that have nothing to do are woken by a message of Redis's own, where Dramatiq's sleep
    for a while that grows: the first job after a silence is not late, and idle ones cost nothing.
    """

    failures: tuple[type[Exception], ...] = (RedisError,)
    """What its calls raise, beside Dramatiq's own errors, when Redis is away."""

    def __init__(
        self, *, client: redis.Redis, namespace: str, middleware: list[Middleware]
    ) -> None:
        super().__init__(client=client, namespace=namespace, middleware=middleware)  # type: ignore[no-untyped-call]  # dramatiq gives no types here
        self._ears = _Ears(client, f"{namespace}:rung")

    @property
    def consumer_class(self) -> type[_RedisConsumer]:
        """Give what fetches messages for a worker."""
        return _WokenConsumer

    def wake(self, queues: Iterable[str]) -> None:
        """Let idle consumers of these queues look, in every process. Raises RedisError."""
        self.client.publish(self._ears.channel, " ".join(queues))

    @property
    def listens(self) -> bool:
        """Whether consumers of this process are woken."""
        return self._ears.hear

    def get_declared_delay_queues(self) -> set[str]:
        """Give none, so that no worker asks for them."""
        return set()

    def length(self, queue: str) -> int:
        """Give how many messages wait in a queue. Raises RedisError."""
        length: int = self.client.llen(f"{self.namespace}:{queue}")
        return length


class _WokenConsumer(_RedisConsumer):
    """Fetches messages, and waits to be woken when there are none."""

    def __init__(
        self, broker: QuietRedisBroker, queue_name: str, prefetch: int, timeout: int
    ) -> None:
        # The base sleeps for `timeout` at most when it has found nothing.
        super().__init__(broker, queue_name, prefetch, 0)  # type: ignore[no-untyped-call]  # dramatiq gives no types here
        self._ears = broker._ears  # noqa: SLF001  # its own consumer
        self._rung = self._ears.open(queue_name)
        self._patience_s = timeout / 1000

    def __next__(self) -> MessageProxy | None:
        # What is rung for from here on is not missed.
        self._rung.clear()
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]  # as above
        if message is None:
            self._rung.wait(self._patience_s if self._ears.hear else DEAF_PAUSE_S)
        return message

    def ack(self, message: MessageProxy) -> None:
        """Note that a message is done: there is room for another."""
        super().ack(message)  # type: ignore[no-untyped-call]  # as above
        self._rung.set()

    def nack(self, message: MessageProxy) -> None:
        """Note that a message has failed: there is room for another."""
        super().nack(message)  # type: ignore[no-untyped-call]  # as above
        self._rung.set()

    def close(self) -> None:
        """Listen no more for this queue."""
        self._ears.close(self.queue_name)


class _Ears:
    """Listens, in a thread of its own, for which queues something was put into.

    `hear`: whether it does so now. A message that is lost costs no more than consumers wait.
    """

    def __init__(self, client: redis.Redis, channel: str) -> None:
        self.channel = channel
        self.hear = False
        self._client = client
        self._rung: dict[str, threading.Event] = defaultdict(threading.Event)
        self._open: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def open(self, queue: str) -> threading.Event:
        """Begin to listen for a queue; gives what is set when something is put into it."""
        with self._lock:
            self._open.add(queue)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="queue-ears", daemon=True)
                self._thread.start()
            return self._rung[queue]

    def close(self, queue: str) -> None:
        """End listening for a queue; after the last one the thread ends within a second."""
        with self._lock:
            self._open.discard(queue)
            self._rung[queue].set()

    def _work(self) -> None:
        pause = threading.Event()
        while self._goes_on():
            try:
                self._listen()
            except (RedisError, OSError):
                pass  # whoever rings or fetches says so
            except Exception as error:  # noqa: BLE001  # note_fault logs it
                # The outermost frame of the thread: without it consumers ask by themselves. Where
                # none is left, the client was closed under it.
                if self._open:
                    note_fault(error, "queue_ears_faulty", again_in_s=LISTEN_AGAIN_S)
            self.hear = False
            pause.wait(LISTEN_AGAIN_S)

    def _goes_on(self) -> bool:
        with self._lock:
            if not self._open:
                self._thread = None
            return self._thread is not None

    def _listen(self) -> None:
        listening: Any = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis gives no types here
        with closing(listening) as heard:
            heard.subscribe(self.channel)
            heard.get_message(timeout=LISTEN_AGAIN_S)
            self.hear = True
            # What came before is looked for once.
            self._wake(tuple(self._open))
            while self._open:
                message = heard.get_message(timeout=LISTEN_AGAIN_S)
                if message is not None:
                    self._wake(message["data"].decode().split())

    def _wake(self, queues: Iterable[str]) -> None:
        for queue in queues:
            # Whoever may publish can invent any number of names.
            if (rung := self._rung.get(queue)) is not None:
                rung.set()


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
    return QuietRedisBroker(client=client, namespace=namespace, middleware=middleware)
