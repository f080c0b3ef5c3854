"""Parse dags/ as the dag-processor does and print what is in it as JSON; run in a process of its own by test_structure.py."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

HEAVY = ("dbt", "deltalake", "duckdb", "great_expectations", "numpy", "pandas", "prophet", "pyarrow", "sqlglot")
opened: list[str] = []


def note_access(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: every file or folder of the lake that anybody looks into."""
    if event in ("open", "os.listdir", "os.scandir", "os.mkdir") and str(arguments[0]).startswith(os.environ["COSTLAKE_LAKE"]):
        opened.append(f"{event} {arguments[0]}")


def describe_task(task: Any) -> dict[str, Any]:
    given = task.partial_kwargs | {"op_kwargs": {}} if task.is_mapped else {}
    mapped = dict(task.op_kwargs_expand_input.value) if task.is_mapped else {}
    op_kwargs = task.partial_kwargs["op_kwargs"] if task.is_mapped else getattr(task, "op_kwargs", {})
    policy = task.partial_kwargs["retry_policy"] if task.is_mapped else task.retry_policy
    return {
        "type": "mapped" if task.is_mapped else task.task_type,
        "upstream": sorted(task.upstream_task_ids),
        "rule": str(task.trigger_rule.value if hasattr(task.trigger_rule, "value") else task.trigger_rule),
        "outlets": sorted(asset.name for asset in task.outlets),
        "target": op_kwargs.get("target"),
        "arguments": mapped.get("arguments", [op_kwargs.get("arguments")]),
        "doc": (given.get("doc_md") if task.is_mapped else task.doc_md) or "",
        "owner": task.owner,
        "retries": task.retries,
        "backoff": bool(task.retry_exponential_backoff),
        "verdicts": verdicts(policy) if policy else {},
    }


def verdicts(policy: Any) -> dict[str, str]:
    """What the retry policy says of each kind of error."""
    from costlake.errors import ConcurrentWrite, ReconciliationError

    def say(error: Exception) -> str:
        return str(policy.evaluate(error, 1, 3).action.value)

    words = {"where": "w", "expected": "e", "next_step": "n"}
    return {"fatal": say(ReconciliationError("x", **words)), "retryable": say(ConcurrentWrite("x", **words)), "unknown": say(OSError("x"))}


def describe_dag(dag: Any) -> dict[str, Any]:
    assets = getattr(dag.timetable, "asset_condition", None)
    return {
        "doc": dag.doc_md or "",
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "when": f"{type(assets).__name__}: {sorted(asset.name for asset in assets.objects)}" if assets else str(dag.schedule),
        "tasks": {task.task_id: describe_task(task) for task in dag.tasks},
    }


def main() -> None:
    from airflow.dag_processing.dagbag import BundleDagBag

    sys.addaudithook(note_access)
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    before = set(sys.modules)
    bag = BundleDagBag(folder, bundle_path=folder)
    loaded = {name.split(".")[0] for name in sys.modules} & set(HEAVY)
    answer = {
        "errors": bag.import_errors,
        "heavy": sorted(loaded),
        "imported_by_parsing": len(set(sys.modules) - before),
        "lake_access": opened,
        "files": {Path(dag.fileloc).name: None for dag in bag.dags.values()},
        "dags": {dag.dag_id: describe_dag(dag) for dag in bag.dags.values()},
    }
    print(json.dumps(answer, default=str))


if __name__ == "__main__":
    main()
