"""A control API on loopback: does what upstream's does, and goes wrong in the ways a test tells it to."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from kronos_tests.backtests.children import LONGEST_S

BASE = "/prometheus"
QUICK: Mapping[str, Any] = {
    "poll_seconds": 0.01,
    "first_wait_seconds": 0.01,
    "longest_wait_seconds": 0.05,
    "settle_seconds": 0.05,
    "tries": 4,
}
"""How a runner asks that has no time to lose."""


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Trouble = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Upstream:
    """The state of the server. Jobs live by their idempotency key."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    troubles: deque[Trouble | None] = field(default_factory=deque)
    """How the next requests are answered instead; None: as always."""
    statuses: Callable[[int], list[str]] = lambda number: ["PENDING", "RUNNING", "SUCCESS"]
    """What job number n says, one word a poll, the last for ever."""
    plays: Callable[[Any], None] = lambda body: None
    """What is done with the body of a submission that makes a job, before it is answered."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further keys of a job's answer."""
    jobs: dict[str, list[str]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    closing: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}{BASE}"

    def submitted(self) -> list[Any]:
        """Bodies of the submissions, in order."""
        return [request.body for request in self.requests if request.path.endswith("run_backtest")]

    def forget(self) -> None:
        """Restart with an empty memory."""
        self.jobs.clear()
        self.keys.clear()

    def answer(self, request: Request) -> tuple[int, Any]:
        """Status and body."""
        if request.path == f"{BASE}/api/control/run_backtest":
            key = request.headers["Idempotency-Key"]
            if key not in self.keys:
                self.keys[key] = f"job/{len(self.keys)}"
                self.jobs[self.keys[key]] = self.statuses(len(self.keys) - 1)
                self.plays(request.body)
            return 202, {"job_id": self.keys[key]}
        job, _, verb = request.path.removeprefix(f"{BASE}/api/control/jobs/").replace("%2F", "/").partition("/cancel")
        del verb
        if job not in self.jobs:
            return 404, {"detail": "no such job"}
        if request.method == "POST":
            self.cancelled.append(job)
            self.jobs[job] = ["CANCELLED"]
            return 200, {}
        words = self.jobs[job]
        return 200, {"job_id": job, "status": words.pop(0) if len(words) > 1 else words[0], **self.more}


@contextmanager
def upstream() -> Iterator[Upstream]:
    """A running server that is gone after the block."""
    state = Upstream()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            request = Request(self.command, self.path, dict(self.headers), body)
            state.requests.append(request)
            trouble = state.troubles.popleft() if state.troubles else None
            if trouble is None:
                reply(*state.answer(request))(self)
            else:
                trouble(self)

        do_GET = do_POST = _serve  # noqa: N815 - the names the library looks for

    class Server(ThreadingHTTPServer):
        state_of_test = state
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that has gone is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield state
        finally:
            state.closing.set()
            server.shutdown()
            thread.join(LONGEST_S)


def reply(status: int, body: Any, **headers: str) -> Trouble:
    """An answer; bytes go out as they are."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(text)

    return send


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close without a word."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def break_off(handler: BaseHTTPRequestHandler) -> None:
    """Promise more than is sent."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"job_id":')
    hang_up(handler)


def lose_the_answer(handler: BaseHTTPRequestHandler) -> None:
    """Do what was asked, then close without saying so."""
    state: Upstream = handler.server.state_of_test  # type: ignore[attr-defined]
    state.answer(state.requests[-1])
    hang_up(handler)


def say_nothing(handler: BaseHTTPRequestHandler) -> None:
    """Keep the connection open, silent, until the test is over."""
    state: Upstream = handler.server.state_of_test  # type: ignore[attr-defined]
    state.closing.wait(LONGEST_S)


def trickle(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, for ever: no single read ever times out."""
    state: Upstream = handler.server.state_of_test  # type: ignore[attr-defined]
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until and not state.closing.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()
