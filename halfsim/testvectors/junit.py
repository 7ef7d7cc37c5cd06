"""Reports as JUnit XML, which continuous-integration servers show."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from halfsim.testvectors.check import Report
from halfsim.testvectors.reporting import described
from halfsim.testvectors.tilecheck import TileReport

__all__ = ["junit"]


def junit(reports: Iterable[Report | TileReport], errors: Iterable[tuple[str, str]] = ()) -> str:
    """Return a JUnit XML document: a suite per file, a case per kind of mistake, one case for a file without any.

    Parameters
    ----------
    reports : iterable of Report or TileReport
        Files that were compared.
    errors : iterable of tuple of str
        Files that could not be read, and why.
    """
    root = ElementTree.Element("testsuites")
    for report in reports:
        suite = ElementTree.SubElement(root, "testsuite", name=report.name, tests=str(max(len(report.mistakes), 1)))
        suite.set("failures", str(len(report.mistakes)))
        properties = ElementTree.SubElement(suite, "properties")
        for key in ("rows", "wrong", "values", "flags")[: 2 if isinstance(report, TileReport) else 4]:
            ElementTree.SubElement(properties, "property", name=key, value=str(getattr(report, key)))
        name = report.subject
        if not report.mistakes:
            ElementTree.SubElement(suite, "testcase", classname=name, name=f"all {report.rows} rows")
        for mistake, count in report.mistakes.most_common():
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=mistake)
            failure = ElementTree.SubElement(case, "failure", message=f"{count} rows")
            found = [item for item in report.first if item.mistake == mistake]
            found = found or [report.examples[mistake]] if mistake in report.examples else found
            # Explanations hold no character that XML does not.
            failure.text = "\n\n".join("\n".join(described(report, item)) for item in found)
    for file, problem in errors:
        suite = ElementTree.SubElement(root, "testsuite", name=file, tests="1", errors="1")
        case = ElementTree.SubElement(suite, "testcase", classname="file", name=file)
        ElementTree.SubElement(case, "error", message=problem)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
