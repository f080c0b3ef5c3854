"""FOCUS conformance of a Parquet file by the official focus-validator, offline, as a gate.

Data flow: FOCUS rows (Parquet) + requirement models → JSON summary on stdout.
Runs in its own environment (Python >= 3.12, requirements.txt beside this file), never in the project's:
`python run.py DATA.parquet --models DIR [--criteria ALL|A,B] [--version 1.4]`; exit 1 when a leaf MUST fails.

The stock command exits 0 on failures and opens its currency list relative to the working directory; hence this file.
A failing leaf fails its AND parents too: only leaves count. A SHOULD (rule ids ending in -O) never gates.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import sys
from pathlib import Path


def validate(data: Path, models: Path, version: str, criteria: str) -> dict[str, object]:
    """Run every rule that the criteria switch on; the failing leaves with rule id, count and text."""
    import focus_validator

    os.chdir(Path(focus_validator.__file__).parent.parent)
    from focus_validator.validator import Validator

    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        result = Validator(
            data_filename=str(data),
            data_format=None,
            rule_set_path=str(models),
            rules_version=version,
            output_type="console",
            output_destination=None,
            column_namespace=None,
            focus_dataset="CostAndUsage",
            filter_rules=None,
            rules_force_remote_download=False,
            rules_block_remote_download=True,
            allow_draft_releases=False,
            allow_prerelease_releases=False,
            applicability_criteria=criteria,
            explain_mode=False,
            transpile_dialect=None,
            show_violations=False,
        ).validate()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures = []
    for rule_id, outcome in result.by_rule_id.items():
        details = outcome.get("details") or {}
        status = "skipped" if details.get("skipped") else "passed" if outcome.get("ok") else "failed"
        counts[status] += 1
        criterion = result.rules[rule_id].validation_criteria
        is_leaf = (criterion.requirement or {}).get("CheckFunction") != "AND"
        if status == "failed" and is_leaf:
            failures.append({"rule": rule_id, "violations": details.get("violations"), "must": criterion.must_satisfy})
    return {"rows": result.data_row_count, **counts, "failures": failures}


def main() -> int:
    """Command line; prints the summary as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--version", default="1.4")
    parser.add_argument("--criteria", default="ALL")
    arguments = parser.parse_args()
    summary = validate(arguments.data.resolve(), arguments.models.resolve(), arguments.version, arguments.criteria)
    print(json.dumps(summary, indent=1))
    failures = summary["failures"]
    return 1 if isinstance(failures, list) and any(not str(item["rule"]).endswith("-O") for item in failures) else 0


if __name__ == "__main__":
    sys.exit(main())
