"""Reports as JUnit XML, which continuous-integration servers show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from halfsim.testvectors.bins import bin_name
from halfsim.testvectors.check import Report
from halfsim.testvectors.formats.digest import digest_state
from halfsim.testvectors.reporting import UNVERIFIED, described
from halfsim.testvectors.tilecheck import TileReport

__all__ = ["junit"]

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(reports: Iterable[Report | TileReport], errors: Iterable[tuple[str, str]] = ()) -> str:
    """Return a JUnit XML document: a suite per file, a case per kind of mistake, one case for a file without any.

    Rows that were not looked at are a failed case, too. Properties of the suite count rows, and disagreements by bin of
    the coverage model. Characters that XML does not have are written as Python escapes them.

    Parameters
    ----------
    reports : iterable of Report or TileReport
        Files that were compared.
    errors : iterable of tuple of str
        Files that could not be read, and why.
    """
    root = ElementTree.Element("testsuites")
    for report in reports:
        _suite(root, report)
    for file, problem in errors:
        suite = ElementTree.SubElement(root, "testsuite", name=file, tests="1", errors="1")
        case = ElementTree.SubElement(suite, "testcase", classname="file", name=file)
        ElementTree.SubElement(case, "error", message=problem)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _escaped(value))
        element.text = None if element.text is None else _escaped(element.text)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, report: Report | TileReport) -> None:
    failed = report.mistakes.most_common()
    if isinstance(report, Report) and report.unnamed:
        failed.append(("not looked at: there are too many", report.unnamed))
    suite = ElementTree.SubElement(root, "testsuite", name=report.name, tests=str(max(len(failed), 1)))
    suite.set("failures", str(len(failed)))
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in _properties(report):
        ElementTree.SubElement(properties, "property", name=key, value=value)
    if not failed:
        ElementTree.SubElement(suite, "testcase", classname=report.subject, name=f"all {report.rows} rows")
    for mistake, count in failed:
        case = ElementTree.SubElement(suite, "testcase", classname=report.subject, name=mistake)
        failure = ElementTree.SubElement(case, "failure", message=f"{count} rows")
        found = [item for item in report.first if item.mistake == mistake]
        found = found or [report.examples[mistake]] if mistake in report.examples else found
        failure.text = "\n\n".join("\n".join(described(report, item)) for item in found)
    if not report.verified and not report.damage:
        ElementTree.SubElement(suite, "system-out").text = UNVERIFIED


def _properties(report: Report | TileReport) -> Iterator[tuple[str, str]]:
    yield from (("rows", str(report.rows)), ("wrong", str(report.wrong)))
    if isinstance(report, Report):
        yield from (("values", str(report.values)), ("flags", str(report.flags)))
        yield "not looked at", str(report.unnamed)
    yield "digest", digest_state(report.verified, report.damage)
    if isinstance(report, Report):
        for index, count in report.bins.most_common():
            yield f"bin {bin_name(report.setting.subject, index)}", str(count)


def _escaped(text: str) -> str:
    return _NO_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
