"""Every snippet of docs/interop.md and of the tutorial on PyTorch runs, where its library is installed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def snippets(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


# Those of the tutorial build on one another.
SNIPPETS = [pytest.param(code, id=f"interop-{i}") for i, code in enumerate(snippets("interop.md"))]
SNIPPETS.append(pytest.param("\n".join(snippets("tutorials/torch.md")), id="torch"))


def needed(code: str) -> list[str]:
    """Return the libraries that a snippet imports."""
    lines = re.findall(r"^(?:import|from) (.+)$", code, re.MULTILINE)
    return [re.split(r"[ .]", part.strip())[0] for line in lines for part in line.split(" import ")[0].split(",")]


def test_there_is_a_snippet_for_every_library():
    text = "".join(code for snippet in SNIPPETS for code in snippet.values)
    for library in ("ml_dtypes", "torch", "jax", "cupy", "dask", "pyarrow", "pandas", "polars"):
        assert library in needed(text)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("code", SNIPPETS)
def test_snippet(code: str) -> None:
    for library in needed(code):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
        if library == "cupy":
            import cupy

            if not cupy.is_available():
                pytest.skip("there is no GPU")
    exec(compile(code, "snippet", "exec"), {})
