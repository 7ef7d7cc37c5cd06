"""The figures of the studies on the site say in words what they show."""

from __future__ import annotations

import re

import pytest

from docs._ext.figures import Captioned, captions, section
from tests.processes import ROOT

STUDIES = sorted(path.parent for path in (ROOT / "docs" / "results").glob("*/report.html"))


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_every_figure_of_a_study_is_shown_and_told_in_sentences(folder):
    text = section(folder)
    shown = re.findall(r"^```{figure} figures/(.*)\.svg$", text, re.M)
    assert sorted(shown) == sorted(path.stem for path in folder.glob("figures/*.svg"))
    told = re.findall(r"^:alt: (.*)$", text, re.M)
    assert len(told) == len(shown)
    for name, words in zip(shown, told, strict=True):
        assert words.startswith(f"{name[0].upper()}{name[1:].replace('-', ' ')}, figure ")
        assert re.fullmatch(r"[^<>]*\. [A-Z][^<>]*\.", words)
    wide = {name for name in shown if re.search(rf"{name}\.svg\n.*\n:figclass: wide\n", text)}
    widths = {name: (folder / "figures" / f"{name}.svg").read_text().split("<svg ", 1)[1] for name in shown}
    points = {name: float(re.search(r'width="([\d.]+)pt"', head)[1]) for name, head in widths.items()}
    assert wide == {name for name in shown if points[name] > 6 * 72}


def test_a_caption_is_read_as_it_is_shown():
    report = (
        '<figure class="wide">\n<div><svg></svg></div>\n<figcaption><b>Figure 3.</b> Loss &amp; scale, <a href="#b">[1]'
        '</a>. One line\nper_seed. <span class="file">figures/a-scale.csv</span></figcaption>\n</figure>'
        "<figure><figcaption>of something else</figcaption></figure>"
        '<figure>\n<figcaption><b>Figure 4.</b> Memory. Bytes. <span class="file">figures/b.csv</span></figcaption>'
    )
    assert captions(report) == [
        Captioned("a-scale", 3, "Loss & scale, [1]. One line per_seed.", True),
        Captioned("b", 4, "Memory. Bytes.", False),
    ]


def test_markup_of_a_caption_is_no_markup_of_the_page(tmp_path):
    (tmp_path / "report.html").write_text(
        '<figure><figcaption><b>Figure 1.</b> A. 2*K*N [1]. <span class="file">figures/a.csv</span></figcaption>'
    )
    assert r"Figure 1. A. 2\*K\*N \[1\]." in section(tmp_path)
    (tmp_path / "report.html").write_text("<p>No figure.</p>")
    assert section(tmp_path) == ""
