"""The proxy does to connections what the faults of a network do."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.faults.proxy import Proxy, commits

WITHIN_S = 5.0


class Echo:
    """A server that answers what it was sent, in capitals, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,)).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(65536):
                self.heard.append(data)
                connection.sendall(data.upper())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(WITHIN_S)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as made:
        yield made


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with connect(proxy) as made:
        yield made


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), WITHIN_S)


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    answer = b""
    while len(answer) < len(data):
        got = client.recv(65536)
        if not got:
            break
        answer += got
    return answer


def test_what_is_sent_arrives_and_so_does_the_answer(client: socket.socket) -> None:
    assert ask(client, b"a" * 300_000) == b"A" * 300_000


def test_the_end_of_one_direction_is_passed_on(client: socket.socket) -> None:
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)

    assert client.recv(100) == b"LAST WORDS"
    assert client.recv(100) == b""


def test_a_cut_resets_what_is_open_and_nothing_later(proxy: Proxy, client: socket.socket) -> None:
    ask(client, b"one")

    assert proxy.cut() == 1
    with pytest.raises(ConnectionResetError):
        ask(client, b"two")
    with connect(proxy) as another:
        assert ask(another, b"three") == b"THREE"


def test_refused_connections_are_refused_until_restored(
    proxy: Proxy, client: socket.socket
) -> None:
    ask(client, b"one")
    proxy.refuse()

    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    assert ask(client, b"two") == b"TWO"

    proxy.restore()
    with connect(proxy) as another:
        assert ask(another, b"three") == b"THREE"


def test_a_server_that_is_not_there_is_a_reset() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        target = nobody.getsockname()[1]
        with Proxy(target) as proxy, connect(proxy) as client, pytest.raises(ConnectionResetError):
            client.recv(1)


def test_nothing_flows_while_frozen_and_all_arrives_after(
    proxy: Proxy, client: socket.socket
) -> None:
    ask(client, b"one")
    proxy.freeze()
    client.sendall(b"two")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(100)

    proxy.thaw()
    client.settimeout(WITHIN_S)
    assert client.recv(100) == b"TWO"


def test_a_delay_holds_each_direction(proxy: Proxy, client: socket.socket) -> None:
    ask(client, b"one")
    proxy.delay(0.05)
    began = time.monotonic()
    ask(client, b"two")

    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("answered", [True, False])
def test_a_request_is_done_whose_answer_never_comes(
    proxy: Proxy,
    client: socket.socket,
    echo: Echo,
    wait_until: Callable[..., object],
    *,
    answered: bool,
) -> None:
    proxy.cut_after(lambda data: b"commit" in data, answered=answered)
    assert ask(client, b"begin") == b"BEGIN"

    with pytest.raises(ConnectionResetError):
        ask(client, b"commit")
    # A reset may overtake what was sent just before it.
    wait_until(lambda: not answered or echo.heard == [b"begin", b"commit"])
    assert proxy.cuts == 1
    with connect(proxy) as another:
        assert ask(another, b"commit") == b"COMMIT"


def test_an_answer_is_held_back_by_what_it_says(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut_after(from_server=lambda data: b"YES" in data)
    assert ask(client, b"no") == b"NO"

    with pytest.raises(ConnectionResetError):
        ask(client, b"yes")


def test_restoring_forgets_orders(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut_after(lambda _: True)
    proxy.delay(5)
    proxy.restore()

    assert ask(client, b"one") == b"ONE"


def test_a_commit_is_cut_after_postgresql_did_it(postgres_url: str) -> None:
    address = psycopg.conninfo.conninfo_to_dict(postgres_url)
    with Proxy(int(str(address["port"]))) as proxy, psycopg.connect(postgres_url) as direct:
        with psycopg.connect(postgres_url, port=proxy.port) as through:
            through.execute("CREATE TABLE made (number int)")
            proxy.cut_after(commits)
            with pytest.raises(psycopg.OperationalError):
                through.commit()

        assert direct.execute("SELECT count(*) FROM made").fetchone() == (0,)
