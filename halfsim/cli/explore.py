"""`halfsim explore`: the explorer in the browser."""

from __future__ import annotations

import errno
import webbrowser
from pathlib import Path

import click

from halfsim.cli.group import examples

__all__ = ["explore"]

_EPILOG = examples(
    "halfsim explore",
    "halfsim explore --port 8765 --no-browser",
    "halfsim explore --export site/explorer",
    notes=("Ctrl-C stops the server; exit status 0.",),
)


@click.command(epilog=_EPILOG)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port.  [default: a free one]")
@click.option("--browser/--no-browser", default=True, help="Open the page in the web browser.")
@click.option(
    "--export",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write the page with the answers to its worked examples, and serve nothing.",
)
def explore(port: int, browser: bool, folder: Path | None) -> None:
    """Serve a page that shows every step of an operation or a dot product as one types.

    Only this machine can open it, at 127.0.0.1, and it loads nothing from elsewhere.
    """
    if folder is not None:
        from halfsim.explore.page import export

        for path in export(folder):
            click.echo(path)
        return
    from halfsim.explore.server import Server

    try:
        server = Server(port)
    except OSError as error:
        reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "is not allowed to this user"}
        reason = reasons.get(error.errno or 0, f"cannot be opened ({error.strerror or error})")
        raise click.ClickException(f"port {port} {reason}; leave out --port to take a free one") from None
    with server:
        click.echo(f"halfsim explorer: {server.url} (Ctrl-C stops it)")
        if browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("halfsim explorer: stopped")
