"""`halfsim explore`: ports, Ctrl-C, and the page written to a folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from importlib import resources
from pathlib import Path

import pytest

from halfsim.explore.catalogue import EXAMPLES, dot_examples
from halfsim.explore.page import export
from tests.cli.running import ROOT, RUN, invoke


def test_a_busy_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = invoke("explore", "--port", str(port), "--no-browser")
    assert shown.exit_code == 1
    assert shown.stdout == ""
    assert shown.stderr == f"halfsim: port {port} is in use; leave out --port to take a free one\n"


def test_a_port_is_a_number() -> None:
    shown = invoke("explore", "--port", "70000")
    assert shown.exit_code == 2
    assert "70000 is not in the range" in shown.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_serves_until_it_is_stopped(number: signal.Signals, status: int) -> None:
    command = [*RUN, "explore", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline()
        url = first.split()[2]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=30) as page:
            assert b"<title>halfsim explorer</title>" in page.read()
        process.send_signal(number)
        try:
            assert process.wait(timeout=30) == status
        finally:
            process.kill()
        assert process.stderr.read() == ""
        assert process.stdout.read() == "halfsim explorer: stopped\n"


def test_the_page_opens_in_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("halfsim.explore.server.Server.serve_forever", lambda self: None)
    assert invoke("explore").exit_code == 0
    assert opened[0].startswith("http://127.0.0.1:")
    assert invoke("explore", "--no-browser").exit_code == 0
    assert len(opened) == 1


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "new" / "explorer"
    export(folder)
    return folder


def test_the_folder_has_the_answer_to_every_example(exported: Path) -> None:
    script = (exported / "catalogue.js").read_text()
    offered = json.loads(script.partition("halfsimCatalogue = ")[2].rstrip().removesuffix(";"))
    assert len(offered["answers"]["operation"]) == len(offered["examples"]["operation"]) == len(EXAMPLES)
    assert len(offered["answers"]["dot"]) == len(offered["examples"]["dot"]) == len(dot_examples())
    for example, answer in zip(offered["examples"]["operation"], offered["answers"]["operation"], strict=True):
        assert answer["operation"] == example["asked"]["operation"]
    static = {file.name for file in resources.files("halfsim.explore").joinpath("static").iterdir()}
    assert {path.name for path in exported.iterdir()} == static | {"catalogue.js"}
    assert sum(path.stat().st_size for path in exported.iterdir()) < 2_000_000


def test_the_command_writes_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("halfsim.explore.page.EXAMPLES", EXAMPLES[:1])
    monkeypatch.setattr("halfsim.explore.page.dot_examples", lambda: dot_examples()[:1])
    shown = invoke("explore", "--export", str(tmp_path / "page"))
    assert shown.exit_code == 0
    assert sorted(shown.stdout.splitlines()) == sorted(str(path) for path in (tmp_path / "page").iterdir())
    (tmp_path / "file").write_text("")
    refused = invoke("explore", "--export", str(tmp_path / "file"))
    assert refused.exit_code == 2
    assert "is a file" in refused.stderr
