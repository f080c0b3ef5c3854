"""docs/focus-mapping.md: one table per bill, FOCUS column ← expression, out of the staging models' own yml.

Data flow: dbt/models/staging/<source>/*.yml (`columns[].config.meta.from` of stg_<source>__focus) → Markdown. A model whose meta says
`focus_mapping: <other model>` shares the other's mapping. Called by scripts/docs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ingest.source import Source

INTRODUCTION = """# How a bill becomes FOCUS 1.4

<!-- written by scripts/docs: change `columns` in dbt/models/staging/<source>/*.yml instead -->

One table per source: the FOCUS column and what it is made of. A column that is not listed is NULL for that source. What each column
means here is in [_focus__cost_and_usage.yml](../dbt/models/focus/_focus__cost_and_usage.yml), why it is so in the
[decisions](decisions/README.md); what the FOCUS validator does not catch is caught by `dbt/tests/focus` and the rules in that yml.
Columns of FOCUS 1.4 keep their names, ours start with `x_`; every row also has `x_SourceId`, `x_BillingPeriod`, `x_DeliveryId`,
`x_ObjectKey` and `x_RowNumber`, which lead back to the line of the bill. The AI columns (model, tokens,
accelerator) follow from the vendor's texts by the rules in the seeds `ai_*`.
"""


def mapping_page(root: Path, sources: Iterable[Source]) -> str:
    """The page. ValueError names a bill whose yml gives no mapping."""
    bills = sorted((source for source in sources if source.feeds == "focus"), key=lambda source: (source.provider, source.title))
    parts = [INTRODUCTION]
    for source in bills:
        model = f"stg_{source.name}__focus"
        shared, columns = _mapping(root, model)
        parts.append(f"## {source.title}\n\nSource `{source.name}`, model `{model}`. {source.documentation}.\n")
        if shared:
            parts.append(f"Mapped as `{shared}`.\n")
        rows = [f"| {name} | {expression.replace('|', chr(92) + '|')} |" for name, expression in sorted(columns.items())]
        parts.append("\n".join(["| FOCUS column | from |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _mapping(root: Path, model: str) -> tuple[str | None, dict[str, str]]:
    entry = _model(root, model)
    shared = _meta(entry).get("focus_mapping")
    columns = {
        str(column["name"]): " ".join(str(_meta(column)["from"]).split())
        for column in (_model(root, shared) if shared else entry).get("columns", [])
        if "from" in _meta(column)
    }
    if not columns:
        raise ValueError(f"{model}: no column in its yml says `meta: {{from: …}}`")
    return shared, columns


def _model(root: Path, model: str) -> dict[str, Any]:
    folder = root / "dbt/models/staging" / model.removeprefix("stg_").removesuffix("__focus")
    for file in sorted(folder.glob("*.yml")):
        for entry in yaml.safe_load(file.read_text(encoding="utf-8")).get("models", []):
            if entry["name"] == model:
                return dict(entry)
    raise ValueError(f"{model}: no yml in {folder.relative_to(root)} describes it")


def _meta(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry.get("meta", {}), **entry.get("config", {}).get("meta", {})}
