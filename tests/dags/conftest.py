"""What the Airflow tests share: a project of their own below tmp_path, and fresh processes, because Airflow reads its environment once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest.source import all_sources

PROJECT = Path(__file__).resolve().parents[2]
DAGS = PROJECT / "dags"


def accounts() -> str:
    """A config/accounts.yml with an export of every source, and two of one."""
    exports = [{"id": "aws-main", "source": "aws_cur2"}, {"id": "aws-second", "source": "aws_cur2"}]
    exports += [{"id": name.replace("_", "-"), "source": name} for name in all_sources() if name != "aws_cur2"]
    return yaml.safe_dump({"exports": [{**export, "location": f"deliveries/{export['id']}"} for export in exports]})


@pytest.fixture(scope="session")
def airflow_environment() -> Callable[..., dict[str, str]]:
    """Makes an environment in which Airflow and costlake see nothing but one folder."""

    def make(home: Path, **extra: str) -> dict[str, str]:
        ours = ("AIRFLOW", "_AIRFLOW", "COSTLAKE_", "DBT_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {
            **kept,
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow' / 'airflow.db'}",
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "airflow" / "logs"),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "airflow" / "bundles"),
            "AIRFLOW__COSMOS__CACHE_DIR": str(home / "airflow" / "cosmos"),
            "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "GX_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "COSTLAKE_LAKE": str(home / "lake"),
            "COSTLAKE_CONFIG_DIR": str(home / "config"),
            **extra,
        }

    return make


@pytest.fixture(scope="session")
def in_fresh_process() -> Callable[..., dict[str, Any]]:
    """Runs a script of this folder; the last line that it prints is its answer, as JSON."""

    def run(script: str, *arguments: str, env: dict[str, str], timeout: int) -> dict[str, Any]:
        Path(env["AIRFLOW_HOME"]).mkdir(parents=True, exist_ok=True)
        finished = subprocess.run(
            [sys.executable, str(Path(__file__).with_name(script)), *arguments],
            env=env, cwd=PROJECT, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        said = f"{script} ended with {finished.returncode}\n{finished.stdout[-6000:]}\n{finished.stderr[-6000:]}"
        assert finished.returncode == 0, said
        answer: dict[str, Any] = json.loads(finished.stdout.strip().splitlines()[-1])
        return answer

    return run


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with a config of every source and no lake."""
    folder = tmp_path_factory.mktemp("dags")
    (folder / "config").mkdir()
    (folder / "config" / "accounts.yml").write_text(accounts(), encoding="utf-8")
    return folder
