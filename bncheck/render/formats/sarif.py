"""SARIF 2.1.0 brings results to code scanning: the rules, and a result for every finding."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict
from urllib.parse import quote

from bncheck.encoding import encodable, harmless_json
from bncheck.render.format import Format, Result
from bncheck.render.paths import path_from_here
from bncheck.render.told import Told, told
from bncheck.render.words.cells import printable
from bncheck.render.words.ranking import ranks
from bncheck.results import ERROR, INFO, WARNING, Finding, Json, ModelFacts, finite
from bncheck.rules import GROUPS, RULES, Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {ERROR: "error", WARNING: "warning", INFO: "note"}
_PROBLEMS = {ERROR: "error", WARNING: "warning", INFO: "recommendation"}


def of_any(result: Result) -> str:
    """One run. What was accepted is a suppressed result; too little checked is an unsuccessful invocation."""
    about = told(result)
    index = {rule.code: at for at, rule in enumerate(RULES)}
    named: Counter[str] = Counter()
    results = []
    for finding, rank in zip(about.findings, ranks(about.findings), strict=True):
        identity = f"{_uri(about.model)}\n{finding.code}\n{finding.layer or ''}"
        named[identity] += 1
        told_of = _result(finding, about, f"{identity}\n{named[identity]}", index.get(finding.code))
        results.append({**told_of, "rank": rank})
    run: Json = {
        "tool": {"driver": _driver(about)},
        "automationDetails": {"id": f"bncheck/{_uri(about.model)}/"},
        "invocations": [_invocation(about)],
        "artifacts": [_artifact(model) for model in about.files],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": about.properties,
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return harmless_json(json.dumps(log, indent=2, allow_nan=False)) + "\n"


def _driver(about: Told) -> Json:
    return {"name": "bncheck", "semanticVersion": about.version, "rules": [_descriptor(rule) for rule in RULES]}


def _descriptor(rule: Rule) -> Json:
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{GROUPS[rule.code[:3]]}: {rule.title}."},
        "help": {"text": f"bncheck rule {rule.code}", "markdown": rule.page},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"tags": list(rule.needs), "problem.severity": _PROBLEMS[rule.severity]},
    }


def _result(finding: Finding, about: Told, identity: str, rule: int | None) -> Json:
    result: Json = {
        "ruleId": finding.code,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{printable(finding.message)} What to do: {printable(finding.fix)}"},
        "locations": [_location(finding, about)],
        "partialFingerprints": {"bncheckFinding/v1": hashlib.sha256(encodable(identity).encode()).hexdigest()},
        "properties": {"measure": finite(asdict(finding.measure)), "evidence": finite(dict(finding.evidence))},
    }
    if rule is not None:
        result["ruleIndex"] = rule
    if finding.accepted is not None:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": finding.accepted}]
    return result


def _location(finding: Finding, about: Told) -> Json:
    location: Json = {
        # A model has no lines, but code scanning drops results without one.
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(about.model), "index": 0},
            "region": {"startLine": 1},
        },
    }
    if finding.layers:
        location["logicalLocations"] = [
            {"fullyQualifiedName": printable(name) or "(the model)", "kind": "module"}
            for name in dict.fromkeys(finding.layers)
        ]
    return location


def _invocation(about: Told) -> Json:
    invocation: Json = {"executionSuccessful": not about.alarm, "exitCode": about.exit_code}
    if about.alarm:
        invocation["toolExecutionNotifications"] = [{"level": "error", "message": {"text": about.alarm}}]
    return invocation


def _artifact(model: ModelFacts) -> Json:
    artifact: Json = {"location": {"uri": _uri(model)}, "roles": ["analysisTarget"]}
    if model.sha256:
        artifact["hashes"] = {"sha-256": model.sha256}
    return artifact


def _uri(model: ModelFacts) -> str:
    path = path_from_here(encodable(model.path))
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


FORMAT = Format("sarif", (".sarif",), of_any, of_any, of_any)
