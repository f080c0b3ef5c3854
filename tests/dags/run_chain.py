"""Run the DAGs one after the other by `dag.test()`, as their assets would, and print how each ended as JSON.

`dag.test()` does not trigger the DAGs that wait for an asset, so the order is given. Run by test_chain.py in a process of its own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main(rounds: list[list[str]]) -> None:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.utils.db import initdb

    initdb()
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    bag = BundleDagBag(folder, bundle_path=folder)
    ended = [run_round(bag, dags) for dags in rounds]
    print(json.dumps(ended))
    if any(dag["state"] != "success" for each in ended for dag in each["dags"].values()):
        sys.exit("a DAG failed; its task's error is above")


def run_round(bag: Any, dags: list[str]) -> dict[str, Any]:
    ended = {}
    for name in [dag for prefix in dags for dag in sorted(bag.dags) if dag.startswith(prefix)]:
        started = time.monotonic()
        without_retries(bag.dags[name])
        run = bag.dags[name].test(logical_date=None)
        tasks = {f"{ti.task_id}[{ti.map_index}]": str(ti.state) for ti in run.get_task_instances()}
        ended[name] = {"state": str(run.state), "tasks": tasks, "seconds": round(time.monotonic() - started, 1)}
        if str(run.state) != "success":
            break
    return {"dags": ended, "versions": versions()}


def without_retries(dag: Any) -> None:
    """An error that would be tried again shall end the test now; the pauses between tries are minutes."""
    for task in dag.tasks:
        if task.is_mapped:
            task.partial_kwargs["retries"] = 0
        else:
            task.retries = 0


def versions() -> dict[str, int | None]:
    """The newest Delta version of every table that a second run must leave alone."""
    from costlake.delta import Lake
    from costlake.settings import Settings

    lake = Lake(Settings.load())
    return {
        f"{layer}.{name}": lake.version(layer, name) for layer in ("bronze", "focus", "marts", "insights") for name in lake.tables(layer)
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
