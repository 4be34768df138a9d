"""A server that sends prepared bytes as its answer to any request, and closes the connection."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class RawServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    answers: list[bytes]
    """The next answers; the last one is repeated."""
    requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        self.server.requests += 1
        answers = self.server.answers
        self.wfile.write(answers.pop(0) if len(answers) > 1 else answers[0])


@contextmanager
def raw_server() -> Iterator[RawServer]:
    with RawServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer; without headers, its length is announced."""
    lines = [f"HTTP/1.1 {status}", *(headers or (f"Content-Length: {len(body)}",)), "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
