"""The whole chain on pulled exports: what the API said is what the marts hold, and a failed pull holds nobody up."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import duckdb
import pytest
import yaml

from costlake import vertical
from costlake.periods import FixedClock
from tests.ingest.pull.api_server import ApiServer
from tests.ingest.pull.conftest import COMPLETIONS, COSTS, NOW, Estate, completions

pytestmark = pytest.mark.long


def test_what_the_api_said_is_what_the_marts_hold_though_another_pull_fails(estate: Estate, api: ApiServer) -> None:
    days = [dt.date(2026, 11, 1) + dt.timedelta(days=n) for n in range(21)]
    cost = {"object": "organization.costs.result", "amount": {"value": 0.15, "currency": "usd"}, "project_id": "proj_a"}
    api.results[COMPLETIONS] = {day: [completions(1_000_000)] for day in days}
    api.results[COSTS] = {day: [{**cost, "line_item": "gpt-4o-mini-2024-07-18, input"}] for day in days}
    pull = {"credential": "env:TESTED", "base_url": api.url, "since": dt.date(2026, 11, 1)}
    exports = [
        {"id": "usage", "source": "openai_usage", "pull": {"api": "openai", "reports": ["completions"], **pull}},
        {"id": "costs", "source": "openai_costs", "pull": {"api": "openai", **pull}},
        {"id": "claude", "source": "anthropic_usage", "pull": {"api": "anthropic", **pull, "credential": "env:NOT_SET"}},
    ]
    listed = [{**export, "location": str(export["id"]), "billing_account_id": "org-example"} for export in exports]
    (estate.settings.config_dir / "accounts.yml").write_text(yaml.safe_dump({"exports": listed}), encoding="utf-8")
    result = vertical.run(estate.settings, FixedClock(NOW))
    assert [(one.export_id, len(one.failed)) for one in result.pulled] == [("usage", 0), ("costs", 0), ("claude", 1)]
    connection = duckdb.connect(str(estate.settings.serving), read_only=True)
    billed = connection.execute("SELECT count(*), sum(billed_cost) FROM marts.fct_cost_daily").fetchone()
    tokens = connection.execute("SELECT sum(tokens) FROM marts.fct_token_economics_daily WHERE token_class = 'input_uncached'").fetchone()
    connection.close()
    assert billed == (21, Decimal("3.15"))
    assert tokens == (21_000_000,)
    assert all(row.status == "exact" for row in result.reconciliations)
