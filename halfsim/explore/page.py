"""The files of the page, as the server sends them and as a folder that answers worked examples without a server."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from halfsim.explore.catalogue import EXAMPLES, catalogue, dot_examples
from halfsim.explore.dot import explore_dot
from halfsim.explore.operation import explore_operation

__all__ = ["POLICY", "export", "files"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
"""What the page may load: its own files and answers."""

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def files() -> dict[str, tuple[str, bytes]]:
    """Return media type and content of every file by its path; what is offered is written into ``catalogue.js``."""
    return _files(catalogue())


def _files(offered: dict[str, Any]) -> dict[str, tuple[str, bytes]]:
    found = {}
    for file in resources.files("halfsim.explore").joinpath("static").iterdir():
        kind = _KINDS.get(Path(file.name).suffix)
        if kind:
            found[f"/{file.name}"] = kind, file.read_bytes()
    found["/"] = found["/index.html"]
    # ASCII, and no tag could end the script early: it is a file of its own.
    script = f'"use strict";\nglobalThis.halfsimCatalogue = {json.dumps(offered)};\n'
    found["/catalogue.js"] = "text/javascript", script.encode()
    return found


def export(folder: Path) -> list[Path]:
    """Write the page to a folder, with the answers to its worked examples: any web server, or none, can show it.

    Parameters
    ----------
    folder : Path
        It is made if need be; files in it of the same names are replaced.

    Returns
    -------
    list of Path
        What was written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from halfsim.explore.page import export
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(path.name for path in export(Path(folder)) if path.suffix == ".html")
    ['index.html']
    """
    answers = {
        "operation": [explore_operation(example["asked"]) for example in EXAMPLES],
        "dot": [explore_dot(example["asked"]) for example in dot_examples()],
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path, (_, content) in _files(catalogue() | {"answers": answers}).items():
        if path != "/":
            written.append(folder / path[1:])
            written[-1].write_bytes(content)
    return written
