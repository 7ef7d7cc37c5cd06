"""Reports as JUnit XML, which continuous-integration servers show."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from halfsim.testvectors.check import Report

__all__ = ["junit"]


def junit(reports: Iterable[Report], errors: Iterable[tuple[str, str]] = ()) -> str:
    """Return a JUnit XML document: a suite per file, a case per kind of mistake, one case for a file without any.

    Parameters
    ----------
    reports : iterable of Report
        Files that were compared.
    errors : iterable of tuple of str
        Files that could not be read, and why.
    """
    root = ElementTree.Element("testsuites")
    for report in reports:
        suite = ElementTree.SubElement(root, "testsuite", name=report.name, tests=str(max(len(report.mistakes), 1)))
        suite.set("failures", str(len(report.mistakes)))
        properties = ElementTree.SubElement(suite, "properties")
        for key in ("rows", "wrong", "values", "flags"):
            ElementTree.SubElement(properties, "property", name=key, value=str(getattr(report, key)))
        name = report.setting.subject.name
        if not report.mistakes:
            ElementTree.SubElement(suite, "testcase", classname=name, name=f"all {report.rows} rows")
        for mistake, count in report.mistakes.most_common():
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=mistake)
            failure = ElementTree.SubElement(case, "failure", message=f"{count} rows")
            lines = [f"line {item.line}: {item}" for item in report.first if item.mistake == mistake]
            failure.text = "\n".join(lines)
    for file, problem in errors:
        suite = ElementTree.SubElement(root, "testsuite", name=file, tests="1", errors="1")
        case = ElementTree.SubElement(suite, "testcase", classname="file", name=file)
        ElementTree.SubElement(case, "error", message=problem)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
