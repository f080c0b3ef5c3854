"""Every notebook runs from top to bottom on a lake built here, and none is committed with the figures of somebody's lake."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from costlake import prices, publish, transform
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import PROJECT_ROOT, Settings
from ingest.demo import write_demo
from ingest.load import ingest_exports
from insights import anomalies
from quality import reconcile
from tests.docs import generator

NOTEBOOKS = sorted((PROJECT_ROOT / "notebooks").glob("*.ipynb"))
MONTHS = 3


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with three months of the demo estate, taken as far as the notebooks read: published marts and findings."""
    root = tmp_path_factory.mktemp("notebooks")
    settings = Settings.load(home=root, lake=root / "lake", config_dir=root / "demo")
    clock = FixedClock(dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC))
    write_demo(root / "demo", months=MONTHS)
    for result in ingest_exports(settings, [], clock):
        result.raise_if_refused()
    transform.run(settings, "focus")
    prices.run(settings, clock)
    transform.run(settings, "marts")
    reconcile.run(settings, clock)
    publish.run(settings, clock)
    anomalies.run(settings)
    return settings


def test_there_are_notebooks_and_they_are_numbered() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02d}" for number in range(1, len(NOTEBOOKS) + 1)]
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_is_committed_with_outputs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert generator.load().stripped(text) == text, "run .venv/bin/python scripts/docs"


def test_an_output_would_be_noticed() -> None:
    notebook = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))
    code = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    code["outputs"], code["execution_count"] = [{"output_type": "stream", "name": "stdout", "text": "4,064.48 USD"}], 1
    spoiled = json.dumps(notebook)
    assert "4,064.48" not in generator.load().stripped(spoiled)


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_a_published_lake(path: Path, published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTLAKE_LAKE", str(published.lake))
    monkeypatch.setenv("COSTLAKE_HOME", str(published.home))
    notebook = nbformat.read(path, as_version=4)
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc")  # no port that a neighbour could reach
    NotebookClient(notebook, timeout=300, km=manager).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in shown if output.get("name") == "stderr"]
    drawn = [output["data"]["image/svg+xml"] for output in shown if "image/svg+xml" in output.get("data", {})]
    assert len(drawn) >= 3
    assert all("http" not in svg.replace("http://www.w3.org", "") for svg in drawn), "a chart asks the network"


@pytest.mark.long
def test_the_drill_down_ends_at_the_line_that_the_demo_planted(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = json.loads((published.config_dir / "expected.json").read_text(encoding="utf-8"))["spike"]
    monkeypatch.setenv("COSTLAKE_LAKE", str(published.lake))
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id in ("connect", "anomaly", "landing")]
    NotebookClient(notebook, timeout=300, km=AsyncKernelManager(kernel_name="python3", transport="ipc")).execute()
    followed, landed = ("".join(output["text"] for output in notebook.cells[at].outputs) for at in (1, 2))
    assert str(planted["date"]) in followed
    assert "unchanged since they came" in landed
    dearest = followed.splitlines()[1].split(" · ")
    assert dearest[2] in landed, "the row in landing is another resource than the charge"


# AWS' dashboard (CUDOS v5) tells kinds of tokens by the usage type, cache before input, and takes blocks from unit and text.
CUDOS = """
    WITH bedrock AS (
        SELECT
            _billing_period AS billing_period,
            lower(line_item_usage_type) AS kind,
            line_item_usage_amount
            * CASE WHEN line_item_line_item_description ILIKE '%million%' OR pricing_unit = '1M tokens' THEN 1000000 ELSE 1000 END AS tokens
        FROM bronze.aws_cur2
        WHERE
            line_item_line_item_type = 'Usage'
            AND (
                bill_billing_entity = 'AWS' AND line_item_product_code LIKE 'AmazonBedrock%'
                OR bill_billing_entity = 'AWS Marketplace' AND product['product_name'] LIKE '%Bedrock%'
            )
    )
    SELECT
        billing_period,
        sum(tokens) FILTER (WHERE kind SIMILAR TO '.*cache-?read.*')::BIGINT,
        sum(tokens) FILTER (WHERE kind SIMILAR TO '.*cache-?write.*')::BIGINT,
        sum(tokens) FILTER (WHERE contains(kind, 'input'))::BIGINT
    FROM bedrock GROUP BY 1 ORDER BY 1
"""


@pytest.mark.long
def test_bedrock_cache_tokens_are_those_that_cudos_counts_on_the_same_bill(published: Settings) -> None:
    connection = Lake(published).connect()
    try:
        ours = connection.execute("""
            SELECT
                billing_period, sum(input_cache_read_tokens)::BIGINT,
                sum(input_cache_write_5m_tokens + input_cache_write_1h_tokens)::BIGINT, sum(input_tokens_total)::BIGINT
            FROM marts.fct_cache_efficiency_daily WHERE route_id = 'bedrock' GROUP BY 1 ORDER BY 1
        """).fetchall()
        theirs = connection.execute(CUDOS).fetchall()
    finally:
        connection.close()
    assert len(ours) == MONTHS
    assert ours == theirs
