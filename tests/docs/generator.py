"""scripts/docs as a module: it has no .py ending, as it is a command."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from types import ModuleType

from costlake.settings import PROJECT_ROOT


def load() -> ModuleType:
    """The generator of the documentation's parts."""
    loader = SourceFileLoader("scripts_docs", str(PROJECT_ROOT / "scripts" / "docs"))
    spec = importlib.util.spec_from_loader("scripts_docs", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
