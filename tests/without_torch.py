"""Runs in a process of its own: commands and calls where PyTorch cannot be imported; what came of them, as JSON."""

from __future__ import annotations

import json
import sys


def main(plan: str) -> None:
    """Run the commands and expressions of the file `plan`, and write what each gave into `plan` itself."""
    with open(plan, encoding="utf-8") as file:
        wanted = json.load(file)
    for package in wanted["missing"]:
        sys.modules[package] = None  # type: ignore[assignment]  # which ends every import of it
    import bncheck
    from tests.called import call

    done = [(one.code, one.stdout, one.stderr) for one in (call(*command) for command in wanted["commands"])]
    said = []
    for expression in wanted["expressions"]:
        try:
            said.append(repr(eval(expression, {"bncheck": bncheck})))  # the test's own
        except bncheck.UsageError as error:
            said.append(f"{type(error).__name__}, {isinstance(error, ImportError)}: {error}")
    with open(plan, "w", encoding="utf-8") as file:
        json.dump({"done": done, "said": said, "loaded": sorted(sys.modules)}, file)


if __name__ == "__main__":
    main(sys.argv[1])
