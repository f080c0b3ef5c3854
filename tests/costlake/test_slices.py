"""What is rebuilt: changed slices only, everything when the mapping changes, and no stale test when a test changes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from costlake.delta import Lake
from costlake.settings import Settings
from costlake.slices import Slice, bronze_files, bronze_fingerprints, compare, project_hash
from costlake.tables import TableSpec


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("models/a.sql", "macros/m.sql", "seeds/s.csv", "tests/t.sql", "dbt_project.yml", "profiles.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["models/a.sql", "macros/m.sql", "seeds/s.csv", "dbt_project.yml"])
def test_a_changed_mapping_rebuilds_everything(project: Path, name: str) -> None:
    before = project_hash(project)
    (project / name).write_text("two", encoding="utf-8")
    assert project_hash(project) != before


@pytest.mark.parametrize("name", ["tests/t.sql", "profiles.yml"])
def test_a_changed_test_takes_effect_without_a_rebuild(project: Path, name: str) -> None:
    """The parsed project is kept between runs: its key has to know the tests, or a new test would never run."""
    build, whole = project_hash(project), project_hash(project, with_tests=True)
    (project / name).write_text("two", encoding="utf-8")
    assert project_hash(project) == build
    assert project_hash(project, with_tests=True) != whole


def test_only_what_differs_is_work() -> None:
    kept, changed, new, gone = (Slice("aws", month) for month in ("2026-07", "2026-08", "2026-09", "2026-10"))
    work = compare({kept: "a", changed: "b2", new: "c"}, {kept: "a", changed: "b1", gone: "d"})
    assert (work.changed, work.dead) == ((changed, new), (gone,))
    assert work.periods == ("2026-08", "2026-09", "2026-10")
    assert not compare({kept: "a"}, {kept: "a"})


def test_a_changed_mapping_reaches_the_published_tables_too(project: Path, settings: Settings) -> None:
    """Publish follows the slices' fingerprints: were they of bronze alone, corrected totals would stay unpublished for ever."""
    (project / "dbt_project.yml").write_text("vars: {focus_sources: [bill], token_sources: []}", encoding="utf-8")
    columns = pa.schema([(name, pa.string()) for name in ("_source_id", "_billing_period", "cost")])
    spec = TableSpec("bronze", "bill", columns, ("_source_id", "_billing_period"))
    lake = Lake(settings)
    lake.append(spec, pa.table({"_source_id": ["aws"], "_billing_period": ["2026-10"], "cost": ["1"]}, schema=columns))
    before = bronze_fingerprints(bronze_files(lake, project), project)
    assert bronze_fingerprints(bronze_files(lake, project), project) == before
    (project / "models" / "a.sql").write_text("two", encoding="utf-8")
    after = bronze_fingerprints(bronze_files(lake, project), project)
    assert compare(after, before).changed == (Slice("aws", "2026-10"),)
