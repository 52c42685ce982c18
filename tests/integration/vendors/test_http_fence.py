"""Nothing is sent any more by a worker whose run may be another's by now."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from service.address_guard import AddressGuard
from service.errors import NotSent
from service.http import VendorHttp
from service.http_transport import fence
from tests.integration.vendors.test_http_sockets import LOCAL, OK, read_request


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield listening


def client_of(listener: socket.socket) -> VendorHttp:
    port = listener.getsockname()[1]
    return VendorHttp(base_url=f"http://127.0.0.1:{port}", guard=AddressGuard(LOCAL))


def test_a_request_that_may_not_be_sent_never_leaves(listener: socket.socket) -> None:
    asked: list[None] = []

    def no() -> bool:
        asked.append(None)
        return False

    with fence(no), pytest.raises(NotSent) as raised:
        client_of(listener).request("POST", "/comments", json={"body": "hello"})
    assert not raised.value.perhaps_done
    assert len(asked) == 1
    connection, _ = listener.accept()
    with connection:
        assert connection.recv(1) == b""


def test_the_second_request_of_a_call_is_held_back_by_itself(listener: socket.socket) -> None:
    ours = threading.Event()
    ours.set()
    requests: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            requests.append(read_request(connection))
            connection.sendall(OK)
            requests.append(connection.recv(65536))

    server = threading.Thread(target=serve)
    server.start()
    http = client_of(listener)
    with fence(ours.is_set):
        assert http.request("GET", "/comments").status == 200
        ours.clear()
        with pytest.raises(NotSent):
            http.request("POST", "/comments", json={"body": "hello"})
    server.join(10)
    assert requests[0].startswith(b"GET /comments ")
    assert requests[1] == b""


@pytest.mark.parametrize(("method", "body", "writes"), [("DELETE", None, 1), ("POST", {}, 2)])
def test_what_has_left_as_a_whole_counts_as_sent(
    listener: socket.socket, method: str, body: dict[str, str] | None, writes: int
) -> None:
    """The worker was stopped just after the last byte, and its lease has run out meanwhile."""
    asked: list[None] = []

    def ours() -> bool:
        asked.append(None)
        return len(asked) <= writes

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            read_request(connection)
            connection.sendall(OK)

    server = threading.Thread(target=serve)
    server.start()
    with fence(ours):
        assert client_of(listener).request(method, "/comments", json=body).status == 200
    server.join(10)


def test_outside_the_fence_requests_leave_again(listener: socket.socket) -> None:
    with fence(lambda: False), pytest.raises(NotSent):
        client_of(listener).request("POST", "/comments", json={})

    def serve() -> None:
        listener.accept()[0].close()
        connection, _ = listener.accept()
        with connection:
            read_request(connection)
            connection.sendall(OK)

    server = threading.Thread(target=serve)
    server.start()
    assert client_of(listener).request("GET", "/comments").status == 200
    server.join(10)
