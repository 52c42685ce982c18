"""The client over real connections: where it connects, how long it waits, what it never does."""

from __future__ import annotations

import datetime as dt
import gc
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from service.address_guard import AddressGuard
from service.errors import AddressRefused, TimedOut, Unreachable, VendorBroken
from service.http import VendorHttp
from service.http_transport import GuardedTransport

Serve = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
LOCAL = (ip_network("127.0.0.0/8"),)
DRIP_S = 0.02


@contextmanager
def server(
    serve: Serve, *, tls: ssl.SSLContext | None = None, seen: list[bytes] | None = None
) -> Iterator[int]:
    """Serve connections one after the other with `serve`, given the request was read."""
    listener = socket.create_server(("127.0.0.1", 0))
    ends = threading.Event()

    def run() -> None:
        while not ends.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    spoken = tls.wrap_socket(connection, server_side=True) if tls else connection
                    with spoken:
                        request = read_request(spoken)
                        if seen is not None:
                            seen.append(request)
                        serve(spoken)
                except OSError:
                    continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ends.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionError
        data += chunk
    return data


def answer(connection: socket.socket) -> None:
    connection.sendall(OK)


def client(port: int, host: str = "127.0.0.1", scheme: str = "http", **more: object) -> VendorHttp:
    settings = {"guard": AddressGuard(LOCAL), **more}
    return VendorHttp(base_url=f"{scheme}://{host}:{port}", **settings)  # type: ignore[arg-type]  # tests choose any of them


def test_a_literal_loopback_address_is_refused_before_any_connection() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    port = listener.getsockname()[1]
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f.1"):
        with (
            VendorHttp(base_url=f"http://{host}:{port}") as http,
            pytest.raises((AddressRefused, Unreachable)),
        ):
            http.request("GET", "/")
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    asked: list[str] = []

    def changing(host: str, _port: int) -> list[str]:
        # A name that gives a permitted address when it is checked and another one afterwards.
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with (
        server(answer) as port,
        client(port, "api.example.com", guard=AddressGuard(LOCAL, resolve=changing)) as http,
    ):
        assert http.request("GET", "/").json() == {}
    assert asked == ["api.example.com"]


def test_every_permitted_address_of_a_name_is_tried() -> None:
    def two(_host: str, _port: int) -> list[str]:
        return ["10.0.0.1", "::1", "127.0.0.1"]

    both = (*LOCAL, ip_network("::1/128"))
    with (
        server(answer) as port,
        client(port, "api.example.com", guard=AddressGuard(both, resolve=two)) as http,
    ):
        assert http.request("GET", "/").status == 200


def test_the_host_header_stays_the_name() -> None:
    guard = AddressGuard(LOCAL, resolve=lambda _host, _port: ["127.0.0.1"])
    seen: list[bytes] = []
    with server(answer, seen=seen) as port:
        with client(port, "api.example.com", guard=guard) as http:
            http.request("GET", "/path")
        assert f"Host: api.example.com:{port}".encode().lower() in seen[0].lower()


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with server(answer) as port, client(port) as http:
        assert http.request("GET", "/").status == 200


def is_given_up(connection: socket.socket) -> bool:
    """Wait a moment for the client to end the connection; say whether it did."""
    connection.settimeout(DRIP_S)
    try:
        return connection.recv(65536) == b""
    except TimeoutError:
        return False


def drip(connection: socket.socket) -> None:
    """Send a long answer a byte at a time, each well within the time for one read."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not is_given_up(connection):
        connection.sendall(b"x")


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not is_given_up(connection):
        connection.sendall(b"X-More: 1\r\n")


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


@pytest.mark.parametrize("serve", [drip, drip_headers, silent])
def test_the_whole_call_ends_at_its_total_time(serve: Serve) -> None:
    with server(serve) as port, client(port) as http:
        began = time.monotonic()
        with pytest.raises(TimedOut) as caught:
            http.request("POST", "/", json={}, timeout_s=0.4)
        assert time.monotonic() - began < 2
        assert caught.value.perhaps_done is True


def cut_before(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def cut_within(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


def no_http(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


@pytest.mark.parametrize("serve", [cut_before, cut_within, no_http])
def test_a_cut_connection_leaves_a_doubt(serve: Serve) -> None:
    with server(serve) as port, client(port) as http:
        with pytest.raises(VendorBroken) as caught:
            http.request("POST", "/", json={})
        assert caught.value.perhaps_done is True


def test_a_closed_port_is_unreachable_and_was_certainly_not_performed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with client(port) as http:
        with pytest.raises(Unreachable) as caught:
            http.request("POST", "/", json={})
        assert caught.value.perhaps_done is False


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def test_an_endless_answer_is_broken_off_at_the_cap() -> None:
    with (
        server(endless) as port,
        client(port, max_answer_bytes=300_000) as http,
        pytest.raises(VendorBroken, match="more than 300000 bytes"),
    ):
        http.request("POST", "/", json={}, timeout_s=10)


def test_threads_share_one_client() -> None:
    statuses: list[int] = []
    with server(answer) as port, client(port) as http:

        def call() -> None:
            statuses.extend(http.request("GET", "/").status for _ in range(5))

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 20


def test_a_client_that_is_forgotten_closes_its_connections() -> None:
    # An unclosed socket would be reported as a warning, and warnings are errors here.
    with server(answer) as port:
        client(port).request("GET", "/")
        gc.collect()


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the name api.example.com alone, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("api.example.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.mark.parametrize(
    ("host", "reached"), [("api.example.com", True), ("other.example.com", False)]
)
def test_tls_proves_the_name_and_not_the_address(
    certificate: Path, host: str, *, reached: bool
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    guard = AddressGuard(LOCAL, resolve=lambda _host, _port: ["127.0.0.1"])
    trust = ssl.create_default_context(cafile=str(certificate))
    transport = GuardedTransport(guard, verify=trust)
    with (
        server(answer, tls=tls) as port,
        client(port, host, "https", transport=transport) as http,
    ):
        if reached:
            assert http.request("GET", "/").status == 200
        else:
            with pytest.raises(Unreachable, match="certificate"):
                http.request("POST", "/", json={})


def test_a_certificate_nobody_vouches_for_is_not_trusted(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    guard = AddressGuard(LOCAL, resolve=lambda _host, _port: ["127.0.0.1"])
    with (
        server(answer, tls=tls) as port,
        client(port, "api.example.com", "https", guard=guard) as http,
        pytest.raises(Unreachable, match="certificate"),
    ):
        http.request("POST", "/", json={})
