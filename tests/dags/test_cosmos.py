"""COSTLAKE_COSMOS=true: a task per dbt model, drawn from the manifest; read by a fresh process, nothing is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costlake import transform
from costlake.settings import Settings

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def root(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cosmos")
    (folder / "config").symlink_to(home / "config")
    return folder


@pytest.fixture(scope="module")
def manifest(root: Path) -> dict[str, Any]:
    """What a first transform leaves in the lake."""
    settings = Settings.load(home=root, lake=root / "lake")
    target = settings.lake / ".dbt" / "target"
    project = ["--project-dir", str(settings.dbt_dir), "--profiles-dir", str(settings.dbt_dir)]
    settings.lake.mkdir()
    transform.invoke_dbt(
        settings, ["seed", "--select", "llm_routes", *project, "--target-path", str(target), "--log-path", str(root / "logs")]
    )
    found: dict[str, Any] = json.loads((target / "manifest.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def parsed(
    root: Path,
    manifest: dict[str, Any],
    airflow_environment: Callable[..., dict[str, str]],
    in_fresh_process: Callable[..., dict[str, Any]],
) -> dict[str, Any]:
    assert manifest
    return in_fresh_process("parse_dags.py", env=airflow_environment(root, COSTLAKE_COSMOS="true"), timeout=180)


def test_every_model_is_a_task_and_one_process_builds_each_layer(parsed: dict[str, Any], manifest: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    tasks = parsed["dags"]["transform"]["tasks"]
    # an ephemeral model is a part of another's SQL: nothing is run for it
    kinds = {node["name"]: node["config"]["materialized"] for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    models = {name for name, kind in kinds.items() if kind != "ephemeral"}
    watched = {name.split(".")[2] for name, task in tasks.items() if task["type"] == "DbtRunWatcherOperator"}
    watched |= {name.split(".")[2] for name, task in tasks.items() if task["type"] == "EmptyOperator" and name.count(".") > 2}
    assert {name.removesuffix("_run") for name in watched} >= models
    producers = [name for name, task in tasks.items() if task["type"] == "DbtProducerWatcherOperator"]
    assert producers == ["dbt_focus.models.dbt_producer_watcher", "dbt_marts.models.dbt_producer_watcher"]


def test_a_model_is_never_tried_again_by_its_sensor(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["transform"]["tasks"]
    kinds = {"DbtRunWatcherOperator", "DbtTestWatcherOperator", "DbtSeedWatcherOperator", "DbtProducerWatcherOperator"}
    assert {task["type"] for task in tasks.values()} & kinds
    assert {name: task["retries"] for name, task in tasks.items() if task["type"] in kinds and task["retries"]} == {}


def test_the_guards_still_stand_between_the_layers(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["transform"]["tasks"]
    assert tasks["rates"]["upstream"] == ["quality_bronze"]
    assert tasks["gpu_rates"]["upstream"] == ["rates"]
    assert tasks["dbt_focus.plan"]["upstream"] == ["gpu_rates"]
    assert tasks["prices"]["upstream"] == ["dbt_focus.finish"]
    assert tasks["dbt_marts.plan"]["upstream"] == ["prices"]
    assert tasks["quality_marts"]["upstream"] == ["dbt_marts.finish"]
    assert tasks["publish"]["upstream"] == ["reconcile"]
    assert any(name.startswith("dbt_focus.models.") for name in tasks["dbt_focus.finish"]["upstream"])


def test_the_plan_and_its_end_are_functions_of_transform(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["transform"]["tasks"]
    for name in ("dbt_focus.plan", "dbt_focus.finish", "dbt_marts.plan", "dbt_marts.finish"):
        module, function = tasks[name]["target"].split(":")
        assert module == "costlake.transform"
        assert hasattr(transform, function), f"{name} calls {tasks[name]['target']}, which does not exist"


def test_drawing_the_models_imports_nothing_heavy(parsed: dict[str, Any]) -> None:
    assert parsed["heavy"] == []


def test_the_selection_is_the_one_that_transform_builds() -> None:
    text = (Path(__file__).resolve().parents[2] / "dags" / "costlake_cosmos.py").read_text("utf-8")
    for layer, paths in transform._SELECTION.items():
        for path in paths:
            assert f'"{path}"' in text, f"{layer}: {path}"


def test_without_a_manifest_a_layer_stays_one_task(
    home: Path, tmp_path: Path, airflow_environment: Callable[..., dict[str, str]], in_fresh_process: Callable[..., dict[str, Any]]
) -> None:
    (tmp_path / "config").symlink_to(home / "config")
    parsed = in_fresh_process("parse_dags.py", env=airflow_environment(tmp_path, COSTLAKE_COSMOS="true"), timeout=120)
    assert parsed["errors"] == {}
    assert {"dbt_focus", "dbt_marts"} <= set(parsed["dags"]["transform"]["tasks"])
