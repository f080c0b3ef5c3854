"""A real Airflow, started as `make airflow` does: two ingest DAGs are set going by REST, assets alone must bring the report.

Slow (minutes): api-server, scheduler and dag-processor start, and every task is a process of its own.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from costlake.delta import Lake
from costlake.settings import PROJECT_ROOT, Settings
from ingest.demo import write_demo

LIMIT_SECONDS = 900  # 2 to 3 minutes on two idle cores
CHAINED = ("transform", "insights", "reports")

pytestmark = [pytest.mark.long, pytest.mark.timeout(1000)]


class Api:
    """Airflow's REST API on this machine."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._token: str | None = None

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._token is None and path != "/auth/token":
            self._token = self.call("GET", "/auth/token")["access_token"]
        headers = {"content-type": "application/json"} | ({"Authorization": f"Bearer {self._token}"} if self._token else {})
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url + path, method=method, data=data, headers=headers)
        with self._opener.open(request, timeout=20) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "/api/v2/dags/~/dagRuns?limit=100")["dag_runs"]
        return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scheduler")


@pytest.fixture(scope="module")
def settings(root: Path) -> Settings:
    """Two exports of the demo, and one whose source nobody knows: it must fail alone."""
    estate = write_demo(root / "demo", months=2)
    exports = [
        export for export in yaml.safe_load(estate.accounts.read_text("utf-8"))["exports"] if export["id"] in ("aws-main", "openai-costs")
    ]
    for export in exports:
        export["location"] = str(root / "demo" / export["location"])
    exports.append({"id": "nobody", "source": "unheard_of", "location": "nowhere"})
    (root / "config").mkdir()
    (root / "config" / "accounts.yml").write_text(yaml.safe_dump({"exports": exports}), encoding="utf-8")
    return Settings.load(home=root, lake=root / "lake", config_dir=root / "config")


@pytest.fixture(scope="module")
def api(root: Path, settings: Settings, airflow_environment: Callable[..., dict[str, str]]) -> Iterator[Api]:
    port = free_port()
    quick = {"AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2", "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600"}
    env = airflow_environment(root, AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="True", **quick)
    command = [sys.executable, str(PROJECT_ROOT / "scripts" / "airflow"), "--port", str(port), "--state", str(root / "state")]
    with (root / "starter.log").open("wb") as log:
        starter = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield Api(port)
    finally:
        stop(starter)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(starter: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does; whatever outlives that is killed, and is a failure."""
    family = psutil.Process(starter.pid).children(recursive=True) if starter.poll() is None else []
    starter.send_signal(signal.SIGINT)
    try:
        starter.wait(90)
    except subprocess.TimeoutExpired:
        starter.kill()
    alive = psutil.wait_procs(family, timeout=10)[1]
    for process in alive:
        process.kill()
    assert not alive, f"Ctrl-C left processes behind: {[process.pid for process in alive]}"


def wait_for(what: str, check: Callable[[], Any], deadline: float, root: Path) -> Any:
    """Poll until `check` gives something; at the deadline say what the processes logged."""
    while time.monotonic() < deadline:
        try:
            found = check()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(1)
    pytest.fail(f"no {what} within the limit\n{logs(root)}")


def logs(root: Path) -> str:
    files = [root / "starter.log", *sorted((root / "state" / "logs").rglob("*.log"), key=lambda path: path.stat().st_mtime)[-12:]]
    return "\n".join(f"== {path}\n{path.read_text('utf-8', 'replace')[-2500:]}" for path in files if path.exists())


@pytest.fixture(scope="module")
def finished(api: Api, root: Path) -> list[dict[str, Any]]:
    """All runs, once the reports are there and the bad source has failed."""
    deadline = time.monotonic() + LIMIT_SECONDS
    wanted = {"ingest_aws_cur2", "ingest_openai_costs", "ingest_unheard_of", *CHAINED}
    wait_for("DAGs", lambda: wanted <= {dag["dag_id"] for dag in api.call("GET", "/api/v2/dags?limit=100")["dags"]}, deadline, root)
    for dag in sorted(wanted, reverse=True):  # the ingest DAGs last: unpaused, they run for their newest interval at once
        api.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})

    def ended() -> list[dict[str, Any]]:
        runs = api.runs()
        states = {(run["dag_id"], run["state"]) for run in runs}
        broken = [dag for dag, state in states if state == "failed" and dag != "ingest_unheard_of"]
        assert not broken, f"{broken} failed\n{logs(root)}"
        return runs if {("reports", "success"), ("ingest_unheard_of", "failed")} <= states else []

    found: list[dict[str, Any]] = wait_for("report", ended, deadline, root)
    return found


def test_assets_alone_carry_the_ingested_bills_to_the_report(finished: list[dict[str, Any]], settings: Settings) -> None:
    for dag in CHAINED:
        assert {run["run_type"] for run in finished if run["dag_id"] == dag} == {"asset_triggered"}
        assert "success" in {run["state"] for run in finished if run["dag_id"] == dag}
    connection = Lake(settings).connect()
    try:
        rows = connection.execute("SELECT source_id, status FROM ops.reconciliation").fetchall()
        marts = connection.execute("SELECT count(DISTINCT source_id) FROM marts.fct_cost_daily").fetchall()
    finally:
        connection.close()
    assert {status for _, status in rows} == {"exact"}
    assert marts[0][0] >= 1
    assert list(settings.reports.rglob("*.html"))


def test_a_source_that_cannot_work_fails_at_once_and_alone(finished: list[dict[str, Any]], api: Api) -> None:
    run = next(run for run in finished if run["dag_id"] == "ingest_unheard_of" and run["state"] == "failed")
    tasks = api.call("GET", f"/api/v2/dags/ingest_unheard_of/dagRuns/{run['dag_run_id']}/taskInstances")["task_instances"]
    assert [(task["state"], task["try_number"]) for task in tasks] == [("failed", 1)]
    assert {run["state"] for run in finished if run["dag_id"] in ("ingest_aws_cur2", "ingest_openai_costs")} <= {
        "success",
        "running",
        "queued",
    }


def test_the_local_keys_are_readable_by_their_owner_only(api: Api, root: Path) -> None:
    assert api
    for name in ("jwt_secret", "session_secret"):
        assert (root / "state" / name).stat().st_mode & 0o777 == 0o600
