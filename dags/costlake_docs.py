"""Documentation of an Airflow DAG's tasks: the docstring of the function that a task calls."""

import ast

from costlake.settings import PROJECT_ROOT


def doc(target: str) -> str | None:
    """The docstring of "module:function", read and not imported: a DAG parser must stay light."""
    module, name = target.split(":")
    source = (PROJECT_ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name]
    return ast.get_docstring(functions[0]) if functions else None
