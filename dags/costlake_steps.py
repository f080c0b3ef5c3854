"""How every Airflow task in dags/ runs: one task = one function, the same that the CLI calls, named "module:function".

Data flow: the try's start → clock, COSTLAKE_* → Settings; both → the function, imported in the task's own process.
"""

import importlib
import inspect
import logging
from typing import Any

from airflow.sdk import Asset, get_current_context, task
from costlake_clock import TaskClock
from costlake_docs import doc

from costlake.settings import Settings


def call(target: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Run `target` with `arguments`, the settings and, if it takes one, the task's clock.

    Only a plain dict is handed on to later tasks; any other result is in the lake and, for people, in the log.
    """
    module, name = target.split(":")
    function = getattr(importlib.import_module(module), name)
    given = {"settings": Settings.load(), "clock": TaskClock(get_current_context()["ti"].start_date)}
    wanted = given.keys() & inspect.signature(function).parameters
    result = function(**{key: given[key] for key in wanted}, **arguments)
    logging.getLogger(__name__).info("%.2000s", result)
    return result if isinstance(result, dict) else None


def step(task_id: str, target: str, outlets: tuple[Asset, ...] = (), **arguments: Any) -> Any:
    """A task that calls `target`; its documentation is the function's."""
    return task(task_id=task_id, outlets=list(outlets), doc_md=doc(target))(call)(target=target, arguments=arguments)
