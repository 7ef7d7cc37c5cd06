"""The local server: a handful of known paths, on the loopback interface, answered by the Python API.

Whoever can reach the port is taken for hostile. A page elsewhere may make a browser send requests here: one whose
``Host`` is not this server's name (DNS rebinding) or whose ``Origin`` is another is refused, and nothing is shared
across origins. The page may load nothing but its own files.
"""

from __future__ import annotations

import json
import os
import re
import socketserver
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from halfsim.explore.dot import explore_dot
from halfsim.explore.fields import MOST_BYTES, FieldError
from halfsim.explore.operation import explore_operation
from halfsim.explore.page import POLICY, files

__all__ = ["Server"]

_ADDRESS = "127.0.0.1"
_ANSWERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "/api/operation": explore_operation,
    "/api/dot": explore_dot,
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server(ThreadingHTTPServer):
    """The explorer on a port of the loopback interface; 0 takes a free one."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.files = files()
        super().__init__((_ADDRESS, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking the network for a name, as the base class would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _ADDRESS, int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{_ADDRESS}:{self.server_port}/"

    @property
    def names(self) -> tuple[str, str]:
        """Values of ``Host`` that mean this server."""
        return f"{_ADDRESS}:{self.server_port}", f"localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""
        if os.environ.get("HALFSIM_DEBUG"):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    """A request that gets a status and a message instead of an answer."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "halfsim", ""
    # Seconds that a client may take over its request.
    timeout = 10

    def do_GET(self) -> None:
        """Send a file of the page."""
        self._respond(self._file)

    def do_POST(self) -> None:
        """Answer a question."""
        self._respond(self._answer)

    def _respond(self, respond: Callable[[], tuple[str, bytes]]) -> None:
        try:
            hosts = self.headers.get_all("Host", [])
            if len(hosts) != 1 or hosts[0].lower() not in self.server.names:
                raise _RefusedError(HTTPStatus.FORBIDDEN, f"this server is {self.server.url}; open that address")
            kind, body = respond()
        except _RefusedError as error:
            self._fail(error.status, str(error))
        except OSError:
            # The client is gone or too slow: there is nobody to tell.
            raise
        except Exception as error:
            if os.environ.get("HALFSIM_DEBUG"):
                raise
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")
        else:
            self._send(HTTPStatus.OK, kind, body)

    def _file(self) -> tuple[str, bytes]:
        if self.path not in self.server.files:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "no such page; the explorer is at /")
        return self.server.files[self.path]

    def _answer(self) -> tuple[str, bytes]:
        if self.path not in _ANSWERS:
            raise _RefusedError(HTTPStatus.NOT_FOUND, f"no such question; known are {', '.join(_ANSWERS)}")
        origin = self.headers.get("Origin")
        if origin is not None and origin not in [f"http://{name}" for name in self.server.names]:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "requests of other pages are not answered")
        if self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        asked = _object(self._body())
        try:
            return "application/json", _json(_ANSWERS[self.path](asked))
        except FieldError as error:
            # A message is an answer: browsers would report another status in their console.
            return "application/json", _json({"error": str(error), "field": error.field})

    def _body(self) -> bytes:
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) != 1 or not re.fullmatch(r"[0-9]{1,18}", lengths[0]) or "Transfer-Encoding" in self.headers:
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "send one Content-Length, and no Transfer-Encoding")
        length = int(lengths[0])
        if length > MOST_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {MOST_BYTES} bytes")
        return self.rfile.read(length)

    def _fail(self, status: HTTPStatus, message: str) -> None:
        self._send(status, "application/json", _json({"error": message, "field": ""}))

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send what the base class refuses as every other error."""
        self._fail(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""


def _json(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, allow_nan=False).encode()


def _object(body: bytes) -> Mapping[str, Any]:
    """Read a request; NaN and Infinity are no JSON, and neither is what nests without end."""
    try:
        asked = json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "the request is no JSON") from None
    if not isinstance(asked, dict):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "the request is no JSON object")
    return asked


def _no_constant(name: str) -> None:
    raise ValueError(name)
