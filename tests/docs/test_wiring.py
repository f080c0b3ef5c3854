"""What a new provider needs beside its Python file; each failure names the file that was forgotten (CONTRIBUTING, Add a provider)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from costlake.config import load_accounts, load_known_models
from costlake.settings import PROJECT_ROOT
from ingest.demo.estate import EXPORTS
from ingest.source import Source, all_sources

SOURCES = list(all_sources().values())
MODEL_OF = {"focus": "stg_{}__focus", "tokens": "stg_{}__tokens"}
WORD_OF = {"focus": "focus_sources", "tokens": "token_sources"}


def forgotten(source: Source, root: Path) -> list[str]:
    """What `source` still needs below the project's folder."""
    model = MODEL_OF[source.feeds].format(source.name)
    staging = f"dbt/models/staging/{source.name}"
    files = (f"ingest/sources/{source.name.split('_', 1)[0]}.py", f"tests/fixtures/{source.name}/expected.yml", f"{staging}/{model}.sql")
    missing = [f"add {name}" for name in files if not (root / name).is_file()]
    if source.name not in _declared(root / staging):
        missing.append(f"add {staging}/_{source.name}.yml with bronze.{source.name} as a dbt source")
    if source.name not in _vars(root)[WORD_OF[source.feeds]]:
        missing.append(f"add the word {source.name} to vars.{WORD_OF[source.feeds]} in dbt/dbt_project.yml")
    if source.also_tokens and not (root / staging / f"{MODEL_OF['tokens'].format(source.name)}.sql").is_file():
        missing.append(f"add {staging}/{MODEL_OF['tokens'].format(source.name)}.sql: its rows count tokens too")
    if source.name not in (root / "config/accounts.example.yml").read_text(encoding="utf-8"):
        missing.append(f"add an entry for {source.name} to config/accounts.example.yml")
    if source.table.name != source.name:
        missing.append(f"call the bronze table of {source.name} {source.name}, not {source.table.name}")
    if source.feeds == "focus" and ({"billed", "effective"} - set(source.measures) or source.currency_sql is None):
        missing.append(f"give the Source {source.name} the measures billed and effective, and currency_sql: it could not be reconciled")
    if source.counts_tokens and "tokens" not in source.measures:
        missing.append(f"give the Source {source.name} the measure tokens: it could not be reconciled")
    return missing


def _vars(root: Path) -> dict[str, list[str]]:
    return dict(yaml.safe_load((root / "dbt/dbt_project.yml").read_text(encoding="utf-8"))["vars"])


def _declared(folder: Path) -> set[str]:
    """The bronze tables that the yml files of a staging folder declare."""
    found: set[str] = set()
    for file in folder.glob("*.yml"):
        content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        found |= {table["name"] for entry in content.get("sources", []) if entry["name"] == "bronze" for table in entry["tables"]}
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_nothing_was_forgotten_of_a_source(source: Source) -> None:
    assert forgotten(source, PROJECT_ROOT) == []


def test_a_source_of_which_only_the_python_file_exists_is_told_all_it_lacks() -> None:
    lacking = forgotten(replace(SOURCES[0], name="nimbus_bill", feeds="focus"), PROJECT_ROOT)
    for part in ("tests/fixtures/nimbus_bill", "stg_nimbus_bill__focus", "_nimbus_bill.yml", "vars.focus_sources", "accounts.example.yml"):
        assert any(part in told for told in lacking), part


@pytest.mark.parametrize("feeds", ["focus", "tokens"])
def test_dbt_reads_no_source_that_does_not_exist_or_twice(feeds: str) -> None:
    words = _vars(PROJECT_ROOT)[WORD_OF[feeds]]
    wanted = [source.name for source in SOURCES if source.feeds == feeds or (feeds == "tokens" and source.also_tokens)]
    assert sorted(words) == sorted(wanted)


def test_no_staging_folder_or_fixture_has_outlived_its_source() -> None:
    names = {source.name for source in SOURCES}
    for folder in ("dbt/models/staging", "tests/fixtures"):
        present = {path.name for path in (PROJECT_ROOT / folder).iterdir() if path.is_dir() and any(path.iterdir())}
        assert present - names == set(), f"{folder}: no source of that name"


def test_usage_finds_its_costs_by_the_first_word_of_the_name() -> None:
    """costlake/slices.py ties them so: another first word, and a changed usage month would not rebuild its costs."""
    by_provider: dict[str, set[str]] = {}
    for source in SOURCES:
        by_provider.setdefault(source.provider, set()).add(source.name.split("_", 1)[0])
    assert all(len(words) == 1 for words in by_provider.values()), by_provider
    first_words = [word for words in by_provider.values() for word in words]
    assert len(first_words) == len(set(first_words)), by_provider


def test_the_example_configuration_can_be_copied_as_it_is() -> None:
    example = load_accounts(PROJECT_ROOT / "config" / "accounts.example.yml").exports
    assert {export.source for export in example} <= {source.name for source in SOURCES}
    demo = PROJECT_ROOT / "demo"
    assert {(e.id, e.source, e.location) for e in example} == {(e["id"], e["source"], str(demo / e["location"])) for e in EXPORTS}
    assert load_known_models(PROJECT_ROOT / "config" / "prices" / "models.yml").models == {}
