"""The command ``python -m halfsim``, for where no ``halfsim`` is on the path."""

from __future__ import annotations

from halfsim.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main(prog_name="halfsim")
