"""The server: what it answers, and what it refuses from clients that mean harm."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from halfsim.explore.fields import MOST_BYTES
from halfsim.explore.operation import explore_operation
from halfsim.explore.server import Server
from tests.explore.questions import operations, serving
from tests.explore.test_answers import ADD, DOT


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def send(
    server: Server, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request; `headers` are written with underscores, and `Host` may be replaced."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in given)
    data = body.encode() if isinstance(body, str) else body
    if data is not None and "Content-Length" not in given:
        given["Content-Length"] = str(len(data))
    for name, value in given.items():
        connection.putheader(name, value)
    connection.endheaders(data)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers, content


def ask(server: Server, path: str, asked: Any, **headers: str) -> tuple[int, Any]:
    text = asked if isinstance(asked, str | bytes) else json.dumps(asked)
    status, _, content = send(server, "POST", path, text, **{"Content_Type": "application/json", **headers})
    return status, json.loads(content)


def raw(server: Server, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_answers_are_those_of_the_functions(server: Server) -> None:
    for asked in operations(40, seed=8):
        assert ask(server, "/api/operation", asked) == (200, explore_operation(asked))
    status, answer = ask(server, "/api/dot", DOT)
    assert status == 200
    assert [card["result"] for card in answer["cards"]] == ["0", "0.25"]


def test_threads_do_not_mix_their_answers(server: Server) -> None:
    questions = operations(12, seed=9)
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        found[number] = [ask(server, "/api/operation", asked)[1]["roundings"][0]["result"] for asked in questions]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want = [explore_operation(asked)["roundings"][0]["result"] for asked in questions]
    assert list(found.values()) == [want] * 4


def test_it_listens_on_the_loopback_interface_only(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize("path", ["/", "/index.html", "/explorer.css", "/page.js", "/catalogue.js", "/icon.svg"])
def test_files_come_with_strict_headers(server: Server, path: str) -> None:
    status, headers, content = send(server, "GET", path)
    assert status == 200
    assert content
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert not any("unsafe" in rule or "http" in rule or "*" in rule for rule in policy)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_files_have_no_inline_code_and_name_no_other_place(server: Server) -> None:
    for path, (_, content) in server.files.items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path
        if path.endswith((".html", "/")):
            assert not re.search(r"\son\w+\s*=", text), "an inline handler"
            assert "<style" not in text and "style=" not in text
            assert all(part.startswith((" defer src=", ">")) for part in text.split("<script")[1:])
        if path.endswith(".js"):
            for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function"):
                assert word not in text, (path, word)


def test_the_page_computes_no_number(server: Server) -> None:
    for path, (_, content) in server.files.items():
        if path.endswith(".js") and path != "/catalogue.js":
            for word in (
                "Math.",
                "Number(",
                "Number.",
                "parseInt",
                "parseFloat",
                "BigInt",
                "<<",
                ">>",
                " * ",
                " / ",
                " % ",
                " - ",
            ):
                assert word not in content.decode(), (path, word)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""]
)
def test_another_host_is_refused(server: Server, host: str) -> None:
    """A name that an attacker points at 127.0.0.1 gets nothing, neither files nor answers."""
    status, _, content = send(server, "GET", "/", Host=host)
    assert status == 403
    assert "this server is http://127.0.0.1" in json.loads(content)["error"]
    assert ask(server, "/api/operation", ADD, Host=host)[0] == 403


def test_a_host_is_given_once(server: Server) -> None:
    own = f"Host: 127.0.0.1:{server.server_port}\r\n".encode()
    assert b" 200 " in raw(server, b"GET / HTTP/1.1\r\n" + own + b"\r\n").split(b"\r\n")[0]
    assert b" 403 " in raw(server, b"GET / HTTP/1.1\r\n" + own + b"Host: evil.example\r\n\r\n").split(b"\r\n")[0]
    assert b" 403 " in raw(server, b"GET / HTTP/1.0\r\n\r\n").split(b"\r\n")[0]


def test_localhost_is_its_name_too(server: Server) -> None:
    host = f"localhost:{server.server_port}"
    assert send(server, "GET", "/", Host=host)[0] == 200
    assert ask(server, "/api/operation", ADD, Host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_other_origins_are_refused(server: Server, origin: str) -> None:
    assert ask(server, "/api/operation", ADD, Origin=origin)[0] == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_form_can_send_is_refused(server: Server, kind: str) -> None:
    """These media types cross origins without being asked for."""
    assert ask(server, "/api/operation", ADD, Content_Type=kind)[0] == 415


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml", "/../../../etc/passwd", "/static/index.html", "/..%2f..%2fetc%2fpasswd", "//etc/passwd",
        "/index.html/..", "/index.html%00", "/?x=1", "/server.py", "/api/operation",
    ],
)  # fmt: skip
def test_unknown_paths_are_not_found(server: Server, path: str) -> None:
    status, _, content = send(server, "GET", path)
    assert status == 404
    assert b"root:" not in content
    assert ask(server, path.replace("/api/operation", "/api"), ADD)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "PATCH", "CONNECT"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    status, headers, content = send(server, method, "/")
    assert status == 501
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert b"Traceback" not in content


def test_huge_requests_are_refused_before_they_are_read(server: Server) -> None:
    for length in (str(MOST_BYTES + 1), "999999999999999999"):
        assert ask(server, "/api/operation", b"{", Content_Length=length)[0] == 413
    padded = json.dumps(ADD | {"padding": ""})
    fitting = json.dumps(ADD | {"padding": "x" * (MOST_BYTES - len(padded))})
    assert len(fitting) == MOST_BYTES
    assert ask(server, "/api/operation", fitting)[0] == 200


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "", "+5", "9" * 30])
def test_odd_lengths_are_refused(server: Server, length: str) -> None:
    assert ask(server, "/api/operation", b"", Content_Length=length)[0] == 411


def test_chunks_are_refused(server: Server) -> None:
    assert ask(server, "/api/operation", ADD, Transfer_Encoding="chunked")[0] == 411
    long = raw(server, f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nX: {'x' * 70000}\r\n\r\n".encode())
    assert b" 431 " in long.split(b"\r\n")[0]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"3", b'"text"', b"null", b"\xff\xfe{}", b"[" * 60000, b'{"a":' * 10000, b'{"seed": NaN}',
        b'{"seed": Infinity}', b"9" * 60000, b'{"operation": "add"} trailing',
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_json_object_is_refused(server: Server, body: bytes) -> None:
    status, answer = ask(server, "/api/operation", body)
    assert status == 400
    assert "JSON" in answer["error"]


@pytest.mark.parametrize(
    "value", [None, 1, True, [], {}, ["add"], {"x": 1}, "\u0000", "\ud800", "<script>alert(1)</script>"]
)
@pytest.mark.parametrize("field", ["operation", "operands", "environment", "bits", "seed"])
def test_fields_of_other_kinds_get_a_message(server: Server, field: str, value: Any) -> None:
    status, answer = ask(server, "/api/operation", ADD | {field: value})
    assert status == 200
    assert answer["field"] == field
    assert answer["error"]


@pytest.mark.parametrize("text", ["nan(0x1ff)", "snan(0x1)", "-nan(0x3ff)", "-snan(0x155)", "0x7c01", "0xffff"])
def test_payloads_of_nans_arrive(server: Server, text: str) -> None:
    status, answer = ask(server, "/api/operation", ADD | {"operands": [text, "1"], "environment": "CUDA"})
    if text == "nan(0x1ff)":
        assert (status, answer["field"]) == (200, "a"), "a quiet NaN has its quiet bit"
        return
    assert status == 200
    assert answer["operands"][0]["kind"].endswith("NaN")
    assert {row["result"]["pattern"] for row in answer["roundings"]} == {"0x7fff"}


def test_a_broken_question_breaks_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(asked: Any) -> Any:
        raise KeyError("inside")

    monkeypatch.setitem(Server.__init__.__globals__["_ANSWERS"], "/api/dot", broken)
    status, answer = ask(server, "/api/dot", DOT)
    assert (status, answer["error"]) == (500, "KeyError: 'inside'")
    assert ask(server, "/api/operation", ADD)[0] == 200


def test_clients_that_hang_up_are_forgotten(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    for start in (b"", b"GET", b"POST /api/dot HTTP/1.1\r\nContent-Length: 9\r\n"):
        with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
            connection.sendall(start)
    assert ask(server, "/api/operation", ADD)[0] == 200
    assert capfd.readouterr().err == ""
