"""Where the numbers of a study come from: software, machines and data of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["data_of", "provenance_of"]


def provenance_of(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what computed the results and from which files; runs of several machines name them all.

    Parameters
    ----------
    results : sequence of mapping
        Summaries of runs and of computed tables.

    Returns
    -------
    dict
        ``"made with"``: every key of the runs' own provenance, with its different values in order of appearance;
        ``"data"``: the different files, as ``{"name", "file", "sha256"}``.
    """
    made: dict[str, list[str]] = {}
    for result in results:
        for key, value in result["provenance"].items():
            values = made.setdefault(key, [])
            if str(value) not in values:
                values.append(str(value))
    return {"made with": made, "data": data_of(results)}


def data_of(results: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the different sets of data of runs, which have one each, and of computed tables, which may have several.

    Sets that are made from one file each have their name.
    """
    listed = [result["config"].get("data") or [] for result in results]
    data = [one for found in listed for one in (found if isinstance(found, list) else [found])]
    return list({(one["name"], one["sha256"]): one for one in data}.values())
