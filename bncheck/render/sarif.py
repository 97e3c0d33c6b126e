"""The report as SARIF 2.1.0, for code scanning: the rules, and a result for every finding."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from urllib.parse import quote

from bncheck.render.words.cells import printable
from bncheck.render.words.paths import path_from_here
from bncheck.render.words.report import headline, too_little_checked
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR, INFO, WARNING, Json, Report, finite
from bncheck.rules.catalogue import GROUPS, RULES, Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {ERROR: "error", WARNING: "warning", INFO: "note"}
_PROBLEMS = {ERROR: "error", WARNING: "warning", INFO: "recommendation"}


def render_sarif(report: Report) -> str:
    """One run. What was accepted is a suppressed result; too little checked is an unsuccessful invocation."""
    index = {rule.code: at for at, rule in enumerate(RULES)}
    named: Counter[str] = Counter()
    results = []
    for finding in report.findings:
        identity = f"{_uri(report)}\n{finding.code}\n{finding.layer or ''}"
        named[identity] += 1
        results.append(_result(finding, report, f"{identity}\n{named[identity]}", index.get(finding.code)))
    run: Json = {
        "tool": {"driver": _driver(report)},
        "automationDetails": {"id": f"bncheck/{_uri(report)}/"},
        "invocations": [_invocation(report)],
        "artifacts": [_artifact(report)],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {"summary": report.to_dict()["summary"]},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, allow_nan=False) + "\n"


def _driver(report: Report) -> Json:
    return {"name": "bncheck", "semanticVersion": report.version, "rules": [_descriptor(rule) for rule in RULES]}


def _descriptor(rule: Rule) -> Json:
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{GROUPS[rule.code[:3]]}: {rule.title}."},
        "help": {"text": f"bncheck rule {rule.code}", "markdown": rule.page},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"tags": list(rule.needs), "problem.severity": _PROBLEMS[rule.severity]},
    }


def _result(finding: Finding, report: Report, identity: str, rule: int | None) -> Json:
    result: Json = {
        "ruleId": finding.code,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{printable(finding.message)} What to do: {printable(finding.fix)}"},
        "locations": [_location(finding, report)],
        "partialFingerprints": {"bncheckFinding/v1": hashlib.sha256(identity.encode()).hexdigest()},
        "properties": {"evidence": finite(dict(finding.evidence))},
    }
    if rule is not None:
        result["ruleIndex"] = rule
    if finding.accepted is not None:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": finding.accepted}]
    return result


def _location(finding: Finding, report: Report) -> Json:
    location: Json = {
        # A model has no lines, but code scanning drops results without one.
        "physicalLocation": {"artifactLocation": {"uri": _uri(report), "index": 0}, "region": {"startLine": 1}},
    }
    if finding.layers:
        location["logicalLocations"] = [
            {"fullyQualifiedName": printable(name) or "(the model)", "kind": "module"}
            for name in dict.fromkeys(finding.layers)
        ]
    return location


def _invocation(report: Report) -> Json:
    untold = too_little_checked(report)
    invocation: Json = {"executionSuccessful": not untold, "exitCode": report.summary.exit_code}
    if untold:
        invocation["toolExecutionNotifications"] = [{"level": "error", "message": {"text": headline(report)}}]
    return invocation


def _artifact(report: Report) -> Json:
    artifact: Json = {"location": {"uri": _uri(report)}, "roles": ["analysisTarget"]}
    if report.model.sha256:
        artifact["hashes"] = {"sha-256": report.model.sha256}
    return artifact


def _uri(report: Report) -> str:
    path = path_from_here(report.model.path)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
