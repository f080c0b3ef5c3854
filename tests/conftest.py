"""What all tests share: the folder with real data beside the checkout, and a lake of one's own."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from costlake.periods import FixedClock
from costlake.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from tests.dbt.currency_project import Currencies

SHARED = PROJECT_ROOT.parent / "shared"
RUNNER = PROJECT_ROOT / "tests" / "focus_validator" / "run.py"
VALIDATOR = PROJECT_ROOT / ".focus-validator" / "bin" / "python"
Validate = Callable[[Path], dict[str, Any]]


@pytest.fixture(scope="session")
def shared_path() -> Callable[[str], Path]:
    """Finds real data beside the checkout; skips with the reason where it is not there."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            pytest.skip(f"real data not at hand: ../shared/{relative} is missing beside this checkout")
        return path

    return find


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty lake and an empty config folder below tmp_path."""
    return Settings.load(home=tmp_path, lake=tmp_path / "lake", config_dir=tmp_path / "config")


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands still."""
    return FixedClock(dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC))


@pytest.fixture(scope="session")
def currencies(tmp_path_factory: pytest.TempPathFactory) -> Currencies:
    """Five bills in five currencies as marts, read only."""
    from tests.dbt.currency_project import build_currencies

    return build_currencies(tmp_path_factory.mktemp("currencies"))


@pytest.fixture
def validate(shared_path: Callable[[str], Path], tmp_path: Path) -> Validate:
    """Runs the validator, with every criterion on, on the FOCUS rows of a warehouse."""
    import duckdb

    models = shared_path("focus/validator/models-patched")
    if not VALIDATOR.exists():
        pytest.skip("no FOCUS validator: run `make focus-validator` (it needs Python >= 3.12)")

    def run(warehouse: Path) -> dict[str, Any]:
        data = tmp_path / "focus.parquet"
        with duckdb.connect(str(warehouse)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"COPY focus.cost_and_usage TO '{data}' (FORMAT parquet)")
        command = [str(VALIDATOR), str(RUNNER), str(data), "--models", str(models)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.stdout, ended.stderr
        return json.loads(ended.stdout)  # type: ignore[no-any-return]

    return run
