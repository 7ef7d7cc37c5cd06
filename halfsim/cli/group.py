"""How commands end: exit status, and every error as one line on standard error."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import click

from halfsim.checks import near

__all__ = ["Group", "examples", "usage"]

FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class _InterruptedError(Exception):
    """Ctrl-C, before click sees it: click would print an empty line."""


class Group(click.Group):
    """A group of commands whose errors are one line and whose returned numbers are the exit status."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; none at all gets the help, and counts as wrong usage."""
        if not args:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(f"unknown command {name!r}; {near(name, self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            _check_environment()
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; exits unless `standalone_mode` is false."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        with _terminations() as received:
            status = self._run(args, prog_name, complete_var, extra)
        sys.exit(TERMINATED if received else status)

    def _run(
        self, args: Sequence[str] | None, prog_name: str | None, complete_var: str | None, extra: dict[str, Any]
    ) -> int:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal that cannot show a character gets a question mark, not an error.
            sys.stdout.reconfigure(errors="replace")
        try:
            status = super().main(args, prog_name, complete_var, False, **extra)
            if sys.stdout is not None:
                sys.stdout.flush()
        except (_InterruptedError, KeyboardInterrupt, click.Abort):
            return _complain("halfsim: interrupted", INTERRUPTED)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "halfsim"
            return _complain(f"{command}: {_one_line(error.format_message())} (see {command} --help)", USAGE)
        except click.ClickException as error:
            return _complain(f"halfsim: {_one_line(error.format_message())}", error.exit_code)
        except BrokenPipeError:
            # The reader has gone: nothing to say, and nothing left to flush at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return _complain(f"halfsim: {where}{error.strerror or error}; check the path and the space left", FAILED)
        except Exception as error:
            if os.environ.get("HALFSIM_DEBUG"):
                raise
            kind = type(error).__name__
            return _complain(f"halfsim: {kind}: {_one_line(str(error))} (HALFSIM_DEBUG=1 shows where)", FAILED)
        return status if isinstance(status, int) else 0


def _check_environment() -> None:
    """Refuse what halfsim's variables ask for before a command begins: each needs them at another place."""
    try:
        if os.environ.get("HALFSIM_CPU"):
            from halfsim.core._processor import choose_processor

            choose_processor()
        if os.environ.get("HALFSIM_NUM_THREADS"):
            from halfsim.kernels.threads import get_num_threads

            get_num_threads()
    except (ValueError, RuntimeError) as error:
        raise click.UsageError(str(error)) from None


@contextlib.contextmanager
def _terminations() -> Iterator[list[int]]:
    """Let SIGTERM, as service managers and `timeout` send it, clean up as Ctrl-C does; give those received."""
    received: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        # `timeout` sends it twice; the second must not cut short the cleaning up.
        signal.signal(number, signal.SIG_IGN)
        received.append(number)
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield received
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _one_line(message: str) -> str:
    return " ".join(message.split()).rstrip(".")


def _complain(message: str, status: int) -> int:
    click.echo(message, err=True)
    return status


def examples(*commands: str, notes: Sequence[str] = ()) -> str:
    """Return the end of a help text: commands to copy, and notes."""
    parts = ["\b", "Examples:", *(f"  {command}" for command in commands)]
    return "\n".join([*parts, "", "\b", *notes] if notes else parts)


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Turn the front door's errors about arguments into usage errors."""
    try:
        yield
    except (TypeError, ValueError) as error:
        # A command has a name of its own for the function, and an option for the argument of `plan` that can be wrong.
        message = re.sub(r"^(explain|explain_dot|compare_dot|tile_header|write_dpi|verify): ", "", str(error))
        message = re.sub(r"^plan: ", "--families: ", message)
        raise click.UsageError(message, click.get_current_context(silent=True)) from error
