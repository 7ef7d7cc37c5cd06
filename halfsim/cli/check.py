"""`halfsim vectors check`: compare files of test vectors, and captures of GPUs, with the simulator."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from halfsim.cli.captures import check_captures, is_capture
from halfsim.cli.group import FAILED, examples, usage
from halfsim.cli.settings import setting_of, setting_options
from halfsim.cli.tiles import compare_tiles

if TYPE_CHECKING:
    from halfsim.testvectors.check import Report
    from halfsim.testvectors.diagnosis import Setting
    from halfsim.testvectors.formats import Header
    from halfsim.testvectors.tilecheck import TileReport

__all__ = ["check"]

_FILE = "halfsim vectors check add.tv"
_PIPE = "testfloat_gen f16_mul | halfsim vectors check - --operation f16_mul --format testfloat"
_CI = "halfsim vectors check out/*.tv --junit report.xml"
_CAPTURES = "halfsim vectors check vectors/cuda --discriminate"
_NOTES = (
    "What the file does not say, or says wrongly, options say: --operation, --rounding, --environment and the others.",
    "A folder of captures, or one MANIFEST.json of it, takes --limit (of each instruction), --discriminate and --json.",
    "Exit status: 0 all agrees, 1 a result disagrees, a file is damaged or a folder is empty, 2 wrong usage.",
)


@click.command(
    epilog=examples(_FILE, _PIPE, _CI, _CAPTURES, notes=_NOTES), short_help="Compare test vectors with the simulator."
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--operation", help="Operation of files without a header, halfsim's name or TestFloat's.")
@setting_options
@click.option("--format", "fmt", help="Format, whatever the suffix: tv testfloat mem csv jsonl npz parquet.")
@click.option("--flags", "order", default="testfloat", show_default=True, help="Flag order of files without a header.")
@click.option("--ignore-flags", is_flag=True, help="Compare results alone.")
@click.option("--limit", type=click.IntRange(min=0), default=5, show_default=True, help="Disagreements to explain.")
@click.option("--coverage", is_flag=True, help="Say which bins of the coverage model the rows hit and miss.")
@click.option("--discriminate", is_flag=True, help="Of captures: show which neighbouring models the results exclude.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as JUnit XML, too.")
@click.option("--progress/--no-progress", default=True, help="Show a progress bar on standard error.")
def check(files: tuple[str, ...], as_json: bool, junit: Path | None, discriminate: bool, **options: Any) -> int:
    """Compare every row of FILE, or of standard input (-), with the simulator, results and flags.

    FILE may be a folder of captures that python -m halfsim.capture recorded on a GPU.

    Each disagreement is explained bit by bit and named after the mistake that gives it: another rounding, tininess
    before instead of after, flushed subnormals, double rounding, a wrong NaN, a missing flag.
    """
    from halfsim.testvectors.formats import VectorFileError
    from halfsim.testvectors.reporting import text_of

    if any(is_capture(name) for name in files):
        if len(files) > 1 or junit is not None:
            raise click.UsageError("a folder of captures is checked alone and without --junit; name the others apart")
        chosen = {name: options[name] for name in ("limit", "progress")}
        return check_captures(Path(files[0]), discriminate=discriminate, as_json=as_json, **chosen)
    if discriminate:
        raise click.UsageError("--discriminate is for a folder of captures, such as vectors/cuda")
    reports: list[Report | TileReport] = []
    errors: list[tuple[str, str]] = []
    _command_line(files, options)
    for name in files:
        try:
            reports.append(_report(name, options))
        except (VectorFileError, OSError, click.UsageError, ValueError, TypeError) as error:
            # One bad file must not hide how the others compare.
            problem = _problem(name, error)
            errors.append((name, problem))
            click.echo(f"halfsim vectors check: {problem}", err=True)
        else:
            if not as_json:
                click.echo(text_of(reports[-1]))
            if reports[-1].damage:
                errors.append((name, reports[-1].damage))
                click.echo(f"halfsim vectors check: {reports[-1].damage}", err=True)
    if as_json:
        described = [report.to_dict() for report in reports] + [{"file": f, "error": text} for f, text in errors]
        click.echo(json.dumps(described, indent=2))
    if junit is not None:
        _write_junit(junit, reports, errors)
    return FAILED if errors or any(report.wrong for report in reports) else 0


def _command_line(files: tuple[str, ...], options: dict[str, Any]) -> None:
    """Refuse what is wrong whatever the files hold."""
    from halfsim.testvectors.formats import format_of, rounding_of

    with usage():
        _given(options)
        if options["rounding"]:
            rounding_of(options["rounding"], "--rounding")
        for name in files:
            if not _absent(name, options["fmt"]):
                format_of(None if name == "-" else Path(name), options["fmt"])


def _absent(name: str, fmt: str | None) -> bool:
    """Whether there is no such file; memory images are one file per column, and none has the name that is given."""
    path = Path(name)
    return name != "-" and fmt != "mem" and ".mem" not in path.suffixes and not path.exists()


def _problem(name: str, error: Exception) -> str:
    """Return what is wrong with a file, in one line that names it."""
    if isinstance(error, OSError):
        # One of several files may be missing: that of a column of memory words.
        name = str(error.filename or name)
        text = f"{error.strerror or error}; check the path"
    else:
        text = error.format_message() if isinstance(error, click.UsageError) else str(error)
    text = " ".join(text.split())
    shown = "standard input" if name == "-" else name
    return text if shown in text else f"{shown}: {text}"


def _report(name: str, options: dict[str, Any]) -> Report | TileReport:
    from halfsim.testvectors.check import check as compare
    from halfsim.testvectors.formats import VectorFileError, format_of, read
    from halfsim.testvectors.formats.files import is_pipe
    from halfsim.testvectors.tilereader import is_tiles

    path = None if name == "-" else Path(name)
    if _absent(name, options["fmt"]):
        raise VectorFileError(name, 0, "does not exist; check the path")
    with usage():
        given, fmt = _given(options), format_of(path, options["fmt"])
    # What is read of a pipe is gone: tiles are given by their path.
    if path is not None and not is_pipe(path) and is_tiles(path, fmt):
        return compare_tiles(path, fmt, options)
    with read(path, given, fmt) as vectors:
        with usage():
            setting = _setting(vectors.header, options)
        with _bar(vectors.header.rows, options["progress"]) as advance:
            settings = {"limit": options["limit"], "ignore_flags": options["ignore_flags"]}
            return compare(vectors, setting, progress=advance, coverage=options["coverage"], **settings)


def _given(options: dict[str, Any]) -> Header | None:
    """Return what options say of a file without a header."""
    from halfsim.testvectors import subject

    if options["operation"] is None:
        return None
    known = subject(options["operation"], "--operation")
    return setting_of(known.name, options).header(flag_order=options["order"])


def _setting(header: Header, options: dict[str, Any]) -> Setting:
    """Return what rows are compared with: what the header says, but for what options say."""
    from halfsim.testvectors import subject
    from halfsim.testvectors.cases import family
    from halfsim.testvectors.diagnosis import Setting

    known = subject(header.operation, "check")
    if (known.operands, known.result) != (header.operands, header.result):
        raise ValueError(
            f"check: the header gives {header.operation} operands {' '.join(header.operands)} and result "
            f"{header.result}; it has {' '.join(known.operands)} and {known.result}"
        )
    if options["operation"] and subject(options["operation"], "--operation") != known:
        raise ValueError(f"check: the header says {known.name}, but --operation {options['operation']}; drop one")
    foreign = [option for option in header.options if option not in known.options]
    if foreign:
        raise ValueError(
            f"check: the header gives {known.name} the option {foreign[0]!r}; "
            f"it has {' and '.join(known.options) or 'none'}"
        )
    for name in header.families:
        family(name, "check: the header")
    base = Setting(known, header.rounding, header.environment, header.options)
    return replace(setting_of(known.name, options, base))


def _write_junit(path: Path, reports: list[Report | TileReport], errors: list[tuple[str, str]]) -> None:
    from halfsim.testvectors.formats.files import replacing
    from halfsim.testvectors.junit import junit

    with replacing(path) as temporary:
        temporary.write_text(junit(reports, errors), encoding="utf-8")


@contextlib.contextmanager
def _bar(rows: int, shown: bool) -> Iterator[Callable[[int], None] | None]:
    if not shown or rows < 1 << 20 or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=rows, label="rows", show_pos=True, file=sys.stderr) as bar:
        yield bar.update
