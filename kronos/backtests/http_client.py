"""JSON over HTTP with a server that may be slow, restarting, wrong or somebody else.

One request at a time, each on a connection of its own: between two polls of a job a kept one would be closed anyway.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Annotated, Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kronos.backtests.waiting import pause, result_of
from kronos.core.backtests.runner import Watch
from kronos.errors import BacktestFailed, BadValue

Json = dict[str, object]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_LARGEST_ANSWER: Final = 16 << 20
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_SAME_METHOD: Final = (307, 308)
_MOST_REDIRECTS: Final = 3
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_TRY_AGAIN: Final = (408, 425, 429)
_SHOWN_CHARACTERS: Final = 300
_LEFT_ALONE_S: Final = 5.0
_TOLD_KEYS: Final = ("detail", "error", "message")


class HttpConfig(BaseModel):
    """Where a server is and how patient to be with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    """http or https, perhaps with a path; nothing secret."""
    timeout_seconds: Seconds = 30.0
    """For one whole answer."""
    tries: Annotated[int, Field(ge=1, le=100)] = 8
    first_wait_seconds: Seconds = 0.5
    """Doubled from try to try."""
    longest_wait_seconds: Seconds = 60.0
    """Also where the server asks for more."""

    @field_validator("url")
    @classmethod
    def _plain(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("expected http://host:port/path or https://host:port/path")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("expected an address without user, password, query and fragment")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _waits_rise(self) -> Self:
        if self.first_wait_seconds > self.longest_wait_seconds:
            raise ValueError(
                f"first_wait_seconds has value {self.first_wait_seconds}: expected no more than the longest"
            )
        return self

    def wait_before(self, again: int, asked_for: float | None) -> float:
        """Seconds before try number `again` + 1."""
        doubled = min(self.first_wait_seconds * 2.0 ** min(again - 1, 60), self.longest_wait_seconds)
        return min(max(doubled, asked_for or 0.0), self.longest_wait_seconds)


@dataclass(frozen=True)
class Answer:
    """A whole answer of the server."""

    status: int
    body: bytes
    location: str | None = None
    retry_after: float | None = None

    def json(self) -> Json | None:
        """The object in the body; None when it holds anything else."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


class HttpClient:
    """Asks one server. The token goes to that server alone and is in no message."""

    def __init__(self, config: HttpConfig, token: str | None) -> None:
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise BadValue("token of the control API", "***", "printable ASCII characters without spaces")
        self._config, self._token = config, token
        self._tls = ssl.create_default_context() if config.url.startswith("https") else None

    def ask(
        self,
        method: str,
        path: str,
        watch: Watch,
        *,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        absent_is_answer: bool = False,
    ) -> Answer:
        """The answer, of status 2xx (or 404 if that is one); asked again while nothing or 5xx comes or it is too much.

        Raises `BacktestFailed`, final where the server says that it does not want this request.
        """
        problem = ""
        for number in range(self._config.tries):
            answer = self._redirected(method, self._config.url + path, watch, body, headers or {})
            asked_for = None
            if isinstance(answer, Answer):
                if answer.status // 100 == 2 or (absent_is_answer and answer.status == 404):
                    return answer
                problem, asked_for = f"answered {answer.status}: {self._said(answer)}", answer.retry_after
                if answer.status // 100 != 5 and answer.status not in _TRY_AGAIN:
                    raise BacktestFailed(f"{method} {self._config.url}{path} {problem}", final=True)
            else:
                problem = self.clean(answer)
            if number + 1 < self._config.tries:
                pause(self._config.wait_before(number + 1, asked_for), watch)
        raise BacktestFailed(f"{method} {self._config.url}{path} {problem}, asked {self._config.tries} times")

    def tell(self, path: str, seconds: float) -> None:
        """POST once, whatever comes of it."""
        self._once("POST", self._config.url + path, lambda: None, None, {}, seconds)

    def clean(self, text: str) -> str:
        """Words for an error: short, on one line, without the token."""
        shown = text.replace(self._token, "***") if self._token else text
        return " ".join(shown.split())[:_SHOWN_CHARACTERS]

    def _said(self, answer: Answer) -> str:
        found = answer.json() or {}
        told = next((found[key] for key in _TOLD_KEYS if key in found), None)
        words = told if isinstance(told, str) else json.dumps(told) if told is not None else ""
        return self.clean(words or answer.body.decode(errors="replace")) or "nothing more"

    def _redirected(
        self, method: str, url: str, watch: Watch, body: Json | None, headers: Mapping[str, str]
    ) -> Answer | str:
        """The answer at the end of redirects within the server, or what went wrong."""
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._once(method, url, watch, body, headers, self._config.timeout_seconds)
            if isinstance(answer, str) or answer.status not in _REDIRECTS or answer.location is None:
                return answer
            try:
                target = urljoin(url, answer.location)
                elsewhere = _origin(target) != _origin(url)
            except ValueError:
                shown = self.clean(f"{method} {url} answered {answer.status} with Location {answer.location!r}")
                raise BacktestFailed(f"{shown}: expected an address", final=True) from None
            if elsewhere or (method != "GET" and answer.status not in _SAME_METHOD):
                shown = self.clean(f"{method} {url} answered {answer.status}, a redirect to {target}")
                raise BacktestFailed(f"{shown}: expected one within the same server, with the same method", final=True)
            url = target
        raise BacktestFailed(f"{method} {url} answered with more than {_MOST_REDIRECTS} redirects", final=True)

    def _once(
        self, method: str, url: str, watch: Watch, body: Json | None, headers: Mapping[str, str], seconds: float
    ) -> Answer | str:
        """One exchange: the answer, or what went wrong."""
        # the socket's own limit is for each read and only ends what nobody waits for any more
        connection = self._connection(urlsplit(url), seconds + _LEFT_ALONE_S)
        sent = None if body is None else json.dumps(body, allow_nan=False).encode()
        every = {"Accept": "application/json", "Connection": "close", **headers}
        if sent is not None:
            every["Content-Type"] = "application/json"
        if self._token:
            every["Authorization"] = f"Bearer {self._token}"
        target = urlsplit(url)._replace(scheme="", netloc="").geturl() or "/"
        try:
            answer = result_of(lambda: _exchanged(connection, method, target, sent, every), seconds, watch)
        finally:
            _abandon(connection)
        return f"gave no whole answer within {seconds:g} seconds" if answer is None else answer

    def _connection(self, parts: SplitResult, seconds: float) -> HTTPConnection:
        assert parts.hostname is not None  # an origin that was checked
        if self._tls is not None:
            return HTTPSConnection(parts.hostname, parts.port, timeout=seconds, context=self._tls)
        return HTTPConnection(parts.hostname, parts.port, timeout=seconds)


def _exchanged(
    connection: HTTPConnection, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
) -> Answer | str:
    try:
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        found = response.read(_LARGEST_ANSWER + 1)
        if len(found) > _LARGEST_ANSWER:
            return f"answered with more than {_LARGEST_ANSWER} bytes"
        if response.length:
            return f"broke its answer off {response.length} bytes before the end"
        return Answer(
            response.status, found, response.getheader("Location"), _seconds(response.getheader("Retry-After"))
        )
    except (OSError, HTTPException, ValueError) as error:
        return f"cannot be reached: {type(error).__name__}: {error}"
    finally:
        connection.close()


def _abandon(connection: HTTPConnection) -> None:
    """Wake the thread that may still wait on the connection."""
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _seconds(retry_after: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; None when it does not say."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
