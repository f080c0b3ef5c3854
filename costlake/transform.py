"""Bronze → FOCUS → marts: decides which slices are new and lets dbt build exactly those.

Data flow: bronze.* views → staging views → focus.cost_and_usage → marts.*, all in lake/warehouse.duckdb.

Nothing to do means nothing done: dbt is not even started. A failed build leaves its slices marked as not built, so the
next run does them again; publish and the BI file still hold the last reconciled state.
Run alone: costlake transform
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from costlake import gpu_slices, slices
from costlake.delta import Lake, open_duckdb
from costlake.errors import ConcurrentWrite, TransformError
from costlake.settings import Settings
from costlake.slices import Slice

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

Layer = Literal["focus", "marts"]
_STAGING = "path:models/staging"
_SELECTION: dict[str, list[str]] = {
    "focus": [_STAGING, "path:models/focus"],
    "marts": ["path:models/intermediate", "path:models/marts"],
}
_GPU_MARTS = ("path:models/intermediate/gpu", "path:models/marts/gpu")


@dataclass(frozen=True)
class TransformResult:
    """What was rebuilt; empty when everything was up to date."""

    layer: str
    changed: tuple[Slice, ...]
    dead: tuple[Slice, ...]
    nodes: int


def run(settings: Settings, layer: Literal["focus", "marts", "all"] = "all", full_refresh: bool = False) -> list[TransformResult]:
    """Build FOCUS, the marts, or both, for the slices that changed since the last build.

    Args:
        settings: where the lake and the dbt project lie.
        layer: which part.
        full_refresh: rebuild everything.

    Raises:
        TransformError: a model, contract or data test failed; names the first node.
        ConcurrentWrite: another transform or publish is at work on the warehouse.
    """
    layers: tuple[Layer, ...] = ("focus", "marts") if layer == "all" else (layer,)
    with warehouse_lock(settings):
        return [_build(settings, each, full_refresh=full_refresh) for each in layers]


def plan(settings: Settings, layer: Layer, full_refresh: bool = False) -> dict[str, Any]:
    """What a layer has still to build, as plain JSON, for a runner that starts dbt itself (Cosmos' watcher).

    Returns:
        `needed` (False: there is nothing to do); `vars`, `full_refresh` and `seeds` (whether they have to be loaded) for dbt;
        `fingerprints`, `gpu_hours` and `project`, which `finish` writes down once dbt has succeeded.
    """
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    project = slices.project_hash(settings.dbt_dir)
    connection = open_duckdb(settings, str(settings.warehouse))
    try:
        lake = Lake(settings)
        fresh = slices.project_built(connection, layer) != project or full_refresh
        bronze = slices.bronze_files(lake, settings.dbt_dir)
        hours: dict[Slice, str] = {}
        changed_hours: list[str] | None = []
        if layer == "focus":
            wanted = slices.bronze_fingerprints(bronze, settings.dbt_dir)
        else:
            hours = gpu_slices.hour_fingerprints(lake, project)
            wanted = slices.mart_fingerprints(lake, bronze, slices.built(connection, "focus"), settings.dbt_dir)
            wanted |= gpu_slices.month_fingerprints(lake, hours)
            changed_hours = None if fresh else gpu_slices.changed_hours(hours, slices.built(connection, gpu_slices.HOURS_LAYER))
        work = slices.everything(wanted) if fresh else slices.compare(wanted, slices.built(connection, layer))
        # telemetry before any bill: its marts read FOCUS, so there has to be one, if empty
        needed = bool(work) or (layer == "focus" and fresh and bool(gpu_slices.hour_fingerprints(lake, project)))
        # Seeds are part of the project's hash: without a change of it they are in the warehouse already.
        seeds = fresh and (layer == "focus" or slices.project_built(connection, "focus") != project)
    finally:
        connection.close()
    variables = {
        "changed_slices": [str(slice_) for slice_ in work.changed],
        "dead_slices": [str(slice_) for slice_ in work.dead],
        "changed_periods": list(work.periods),
        "changed_gpu_hours": changed_hours,
        # FOCUS takes what changed, of the marts a month takes all that it has
        "built_sources": slices.sources_to_build(bronze, None if fresh or layer == "marts" else work.changed, settings.dbt_dir),
    }
    prints, hour_prints = ({str(slice_): value for slice_, value in found.items()} for found in (wanted, hours))
    return {
        "layer": layer, "needed": needed, "vars": variables, "full_refresh": fresh, "seeds": seeds,
        "fingerprints": prints, "gpu_hours": hour_prints, "project": project,
    }  # fmt: skip


def finish(settings: Settings, plan: Mapping[str, Any]) -> None:
    """Write down that a layer is built as `plan` said; a run that never gets here is planned again."""
    connection = open_duckdb(settings, str(settings.warehouse))
    try:
        slices.mark_built(connection, plan["layer"], _as_slices(plan["fingerprints"]))
        if plan["layer"] == "marts":
            slices.mark_built(connection, gpu_slices.HOURS_LAYER, _as_slices(plan["gpu_hours"]))
        slices.mark_project(connection, plan["layer"], plan["project"])
    finally:
        connection.close()


def _as_slices(prints: Mapping[str, str]) -> dict[Slice, str]:
    return {Slice(*name.rsplit("|", 1)): value for name, value in prints.items()}


def _build(settings: Settings, layer: Layer, *, full_refresh: bool) -> TransformResult:
    planned = plan(settings, layer, full_refresh)
    variables = planned["vars"]
    changed, dead = ([Slice(*name.rsplit("|", 1)) for name in variables[key]] for key in ("changed_slices", "dead_slices"))
    if not planned["needed"]:
        return TransformResult(layer, (), (), 0)
    nodes = _dbt(settings, planned)
    finish(settings, planned)
    return TransformResult(layer, tuple(changed), tuple(dead), nodes)


def _dbt(settings: Settings, planned: Mapping[str, Any]) -> int:
    """One `dbt build` in this process; returns the number of nodes."""
    command = ["build", "--select", *_selection(planned), "--vars", json.dumps(planned["vars"]), *_dbt_paths(settings)]
    # A test that also looks at a layer not built yet waits for that layer's own run.
    command += ["--indirect-selection", "buildable"]
    # Unit tests prove the SQL on made-up rows; they belong to `make test`, not to every build.
    command += ["--exclude-resource-type", "unit_test"]
    if planned["full_refresh"]:
        command += ["--full-refresh"]
    elif planned["layer"] == "marts" and not planned["gpu_hours"] and not planned["vars"]["changed_gpu_hours"]:
        # a lake without telemetry has the tables of its GPUs, empty
        command += ["--exclude", *_GPU_MARTS]
    return invoke_dbt(settings, command)


def _selection(planned: Mapping[str, Any]) -> list[str]:
    """What dbt builds: of staging only the sources that have something to build, with what they read of one another.

    Each view or test costs dbt 50 to 65 ms of CPU, and a lake has a few of the two dozen sources.
    """
    paths = [path for path in _SELECTION[planned["layer"]] if path != _STAGING]
    if _STAGING in _SELECTION[planned["layer"]]:
        paths += [f"+{_STAGING}/{source},{_STAGING}" for source in planned["vars"]["built_sources"]]
    return [*paths, *(["path:seeds"] if planned["seeds"] else [])]


def invoke_dbt(settings: Settings, command: list[str]) -> int:
    """Run one dbt command in this process against the settings' lake; returns the number of nodes.

    Raises:
        TransformError: names the first failed node and its message.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    with dbt_environment(settings):
        try:
            runner = dbtRunner(manifest=_manifest(settings))
            outcome = runner.invoke(["--quiet", "--no-version-check", *command])
        finally:
            # dbt-duckdb keeps the file open for the life of the process; the next step has to open it its own way.
            DuckDBConnectionManager.close_all_connections()
    results = list(getattr(outcome.result, "results", None) or [])
    failed = [result for result in results if str(result.status) in ("error", "fail", "runtime error")]
    if failed or not outcome.success:
        name = failed[0].node.unique_id if failed else "dbt itself"
        message = str(failed[0].message if failed else outcome.exception).strip().splitlines()
        raise TransformError(
            f"dbt stopped: {len(failed)} node(s) failed; {' '.join(message[:3])}",
            where=name,
            expected="every model, contract and data test to pass",
            next_step="read the compiled SQL below lake/.dbt/target/compiled; nothing was published",
        )
    return len(results)


def _manifest(settings: Settings) -> Manifest:
    """The parsed project, kept beside it (or in the lake, where the project is not ours to write) until it or dbt itself changes.

    dbt parses anew whenever `--vars` differ, which they do in each of our runs: 5 of 15 CPU seconds of a small build. Beside the
    project a new lake finds it, too.
    """
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest
    from dbt.version import __version__ as dbt_version

    beside = settings.dbt_dir / "target"
    name = f"manifest-{dbt_version}-{slices.project_hash(settings.dbt_dir, with_tests=True)}.msgpack"
    for kept in (beside / name, settings.lake / ".dbt" / name):
        if kept.exists():
            return Manifest.from_msgpack(kept.read_bytes())
    outcome = dbtRunner().invoke(["--quiet", "--no-version-check", "parse", "--no-partial-parse", *_dbt_paths(settings)])
    if not isinstance(outcome.result, Manifest):
        raise TransformError(
            f"dbt cannot parse the project: {outcome.exception}",
            where=settings.dbt_dir.name,
            expected="a dbt project without errors",
            next_step="run the tests in tests/dbt",
        )
    folder = beside if os.access(beside if beside.exists() else settings.dbt_dir, os.W_OK) else settings.lake / ".dbt"
    folder.mkdir(exist_ok=True)
    partial = folder / f".{name}.{os.getpid()}"
    partial.write_bytes(outcome.result.to_msgpack())
    partial.replace(folder / name)
    for old in set(folder.glob("manifest-*.msgpack")) - {folder / name}:
        old.unlink(missing_ok=True)
    return outcome.result


@contextmanager
def dbt_environment(settings: Settings) -> Iterator[None]:
    """The variables that dbt/profiles.yml reads, for the time of one dbt command."""
    values: Mapping[str, str] = {
        "COSTLAKE_WAREHOUSE": str(settings.warehouse),
        "COSTLAKE_LAKE": str(settings.lake),
        "COSTLAKE_TABLES": settings.tables,
        "COSTLAKE_TABLES_CREDENTIAL": settings.tables_credential or "",
        "COSTLAKE_THREADS": str(settings.threads),
        "COSTLAKE_MEMORY_LIMIT": settings.memory_limit,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def warehouse_lock(settings: Settings) -> Iterator[None]:
    """One writer of the warehouse at a time, across processes; the lock goes with the process that holds it."""
    settings.lake.mkdir(parents=True, exist_ok=True)
    with (settings.lake / ".warehouse.lock").open("w", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConcurrentWrite(
                "another transform or publish is running",
                where="lake/warehouse.duckdb",
                expected="one writer at a time",
                next_step="wait for it to end, then run the command again",
            ) from error
        yield


def _dbt_paths(settings: Settings) -> list[str]:
    work = settings.lake / ".dbt"
    return [
        "--project-dir",
        str(settings.dbt_dir),
        "--profiles-dir",
        str(settings.dbt_dir),
        "--target-path",
        str(work / "target"),
        "--log-path",
        str(work / "logs"),
    ]
