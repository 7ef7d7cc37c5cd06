"""Check a site that was built: ``python -m docs._ext.built docs/_build/html``.

Every public name has a definition, every link leads to a page and a place on it, and nothing is asked of the network.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import halfsim
from docs._ext.public import PAGES, of_page

__all__ = ["dead_links", "defined", "missing_names"]

_RESOURCES = {"script": "src", "img": "src", "iframe": "src", "link": "href"}
_LOADED = {"stylesheet", "icon", "preload", "search"}


class _Page(HTMLParser):
    """The places that a page has, the links that it makes, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places, self.links, self.loaded = {""}, set[str](), set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.places |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        elif tag in _RESOURCES and _RESOURCES[tag] in found and (tag != "link" or found.get("rel") in _LOADED):
            self.loaded.add(found[_RESOURCES[tag]])


def dead_links(site: Path) -> Iterator[str]:
    """Yield each link that leads nowhere, and each thing that a page would load from elsewhere."""
    found = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    pages = {path.resolve(): _Page(path.read_text()) for path in found}
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        for link in sorted(page.links | page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded and parts.scheme != "data":
                    yield f"{name}: loads {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                yield f"{name}: {link} is not there"
            elif target in pages and unquote(parts.fragment) not in pages[target].places:
                yield f"{name}: {link} names no place of {target.name}"


def defined(site: Path) -> set[str]:
    """Return the Python names that the site defines, as its inventory says."""
    content = (site / "objects.inv").read_bytes()
    rows = zlib.decompress(content.split(b"\n", 4)[4]).decode().splitlines()
    return {row.split(" ")[0] for row in rows if row.split(" ")[1].startswith("py:")}


def missing_names(site: Path) -> list[str]:
    """Return the public names that the site does not define: those of its pages and those of the package."""
    names = {f"{module}.{name}" for page in PAGES for module, name in of_page(page)}
    return sorted((names | {f"halfsim.{name}" for name in halfsim.__all__}) - defined(site))


def main(site: Path) -> int:
    """Print what is wrong with a site, and return the exit status."""
    problems = [*(f"{name} is not in the reference" for name in missing_names(site)), *dead_links(site)]
    print("\n".join([*problems, f"{site}: {len(problems)} problem(s)"]))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
