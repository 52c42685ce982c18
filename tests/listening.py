"""An address on loopback that takes what is posted to it. Nothing here knows Hookwright."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

Headers = list[tuple[str, str]]
"""Names in lower case, in the order in which they came."""

Take = Callable[[Headers, bytes], int]
"""Is given the headers and the body of a request; gives the status it is answered with."""


@contextmanager
def listen(path: str, take: Take) -> Iterator[str]:
    """Give the address, whose path is `path`; it is open until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = [(name.lower(), value) for name, value in self.headers.items()]
            self.send_response(take(headers, body))
            self.end_headers()
            self.wfile.write(b'{"status":"stored"}')

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{path}"
        server.shutdown()
        thread.join()
