"""The dbt layers as Airflow sees them: one task each, or a task per model with COSTLAKE_COSMOS=true.

Cosmos' watcher runs one `dbt build` per layer (DuckDB has one writer) beside a DAG of sensors, one per model and its tests. It draws them
from the manifest that the first transform leaves in the lake; until that is there, a layer stays one task.
"""

from typing import Any

from airflow.sdk import TaskGroup, chain
from costlake_steps import step

from costlake.settings import Settings

SELECTION = {
    "focus": ["path:seeds", "path:models/staging", "path:models/focus"],
    "marts": ["path:models/intermediate", "path:models/marts"],
}
# Tests that also look at a layer not built yet wait for that layer's own run, as in costlake.transform.
INDIRECT = {"focus": "cautious", "marts": "buildable"}


def layer(name: str) -> Any:
    """`dbt_<name>`: plan (which slices), dbt, finish (they are built); or the function that does all three."""
    settings = Settings.load()
    manifest = settings.lake / ".dbt" / "target" / "manifest.json"
    if not (settings.cosmos and manifest.exists()):
        return step(f"dbt_{name}", "costlake.transform:run", layer=name)
    from costlake_watcher import models

    with TaskGroup(f"dbt_{name}") as group:
        plan = step("plan", "costlake.transform:plan", layer=name)
        finish = step("finish", "costlake.transform:finish", plan=plan)
        chain(plan, models(settings, manifest, SELECTION[name], INDIRECT[name], f"dbt_{name}.plan"), finish)
    return group
