"""How every Airflow task in dags/ runs: one task = one function, the same that the CLI calls, named "module:function".

Data flow: the run's `run_after` → clock, COSTLAKE_* → Settings; both → the function, imported in the task's own process.
"""

import ast
import importlib
import inspect
import logging
from typing import Any

from airflow.sdk import Asset, get_current_context, task

from costlake.periods import FixedClock
from costlake.settings import PROJECT_ROOT, Settings


def call(target: str, arguments: dict[str, Any]) -> None:
    """Run `target` with `arguments`, the settings and, if it takes one, the run's clock: a cleared run sees the hour it saw before."""
    module, name = target.split(":")
    function = getattr(importlib.import_module(module), name)
    given = {"settings": Settings.load(), "clock": FixedClock(get_current_context()["dag_run"].run_after)}
    wanted = given.keys() & inspect.signature(function).parameters
    logging.getLogger(__name__).info("%.2000s", function(**{key: given[key] for key in wanted}, **arguments))


def step(task_id: str, target: str, outlets: tuple[Asset, ...] = (), **arguments: Any) -> Any:
    """A task that calls `target`; its documentation is the function's."""
    return task(task_id=task_id, outlets=list(outlets), doc_md=doc(target))(call)(target=target, arguments=arguments)


def doc(target: str) -> str | None:
    """The docstring of `target`, read and not imported: a DAG parser must stay light."""
    module, name = target.split(":")
    source = (PROJECT_ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    return next((ast.get_docstring(node) for node in functions if node.name == name), None)
