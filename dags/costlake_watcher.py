"""Airflow DAG part: a dbt selection as Cosmos' watcher group, one `dbt build` and a sensor per model."""

from pathlib import Path

from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, InvocationMode, LoadMode

from costlake.settings import Settings


def models(settings: Settings, manifest: Path, select: list[str], indirect: str, plan: str) -> DbtTaskGroup:
    """The group `models`; `plan` is the task whose XCom holds dbt's variables. Its DAG must render templates natively."""
    profile = ProfileConfig("costlake", "local", profiles_yml_filepath=settings.dbt_dir / "profiles.yml")
    environment = {
        "COSTLAKE_WAREHOUSE": str(settings.warehouse),
        "COSTLAKE_LAKE": str(settings.lake),
        "COSTLAKE_THREADS": str(settings.threads),
        "COSTLAKE_MEMORY_LIMIT": settings.memory_limit,
    }
    planned = f"ti.xcom_pull(task_ids='{plan}')"
    return DbtTaskGroup(
        group_id="models",
        default_args={"retries": 0},  # a sensor that is tried again builds its model itself: a second writer
        project_config=ProjectConfig(settings.dbt_dir, manifest_path=manifest, project_name="costlake", install_dbt_deps=False),
        profile_config=profile,
        execution_config=ExecutionConfig(execution_mode=ExecutionMode.WATCHER, invocation_mode=InvocationMode.DBT_RUNNER),
        render_config=RenderConfig(load_method=LoadMode.DBT_MANIFEST, select=select, emit_datasets=False),
        operator_args={
            "env": environment,
            "append_env": True,
            "vars": f"{{{{ {planned}['vars'] }}}}",
            "full_refresh": f"{{{{ {planned}['full_refresh'] }}}}",
            "dbt_cmd_flags": ["--indirect-selection", indirect],
        },
    )
