"""A seeded estate of marts on a real Delta lake: 13 months, growing, noisy, with everything that must not raise an alarm."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from costlake.delta import Lake
from costlake.settings import Settings
from costlake.tables import TableSpec

MONEY = pa.decimal128(38, 12)
TEXT = pa.string()


def _schema(text: str) -> pa.Schema:
    kinds = {"": TEXT, "date": pa.date32(), "money": MONEY, "count": pa.int64(), "tokens": pa.decimal128(38, 0)}
    pairs = (item.partition(":")[::2] for item in text.split())
    return pa.schema([pa.field(name, kinds[kind]) for name, kind in pairs])


COST_DAILY = TableSpec("marts", "fct_cost_daily", _schema(
    "source_id billing_period charge_date:date provider_name billing_account_id billing_account_name sub_account_id sub_account_name "
    "service_category service_subcategory service_name region_id model_id owner owner_reason charge_category pricing_category "
    "commitment_discount_status billing_currency billed_cost:money effective_cost:money list_cost:money contracted_cost:money "
    "line_count:count"
))  # fmt: skip
TOKENS = TableSpec("marts", "fct_token_economics_daily", _schema(
    "billing_period charge_date:date provider_name host_provider_name project_id model_id base_model_id token_class service_tier "
    "billing_currency tokens:tokens effective_cost:money cost_per_million_tokens:money cost_reason"
))  # fmt: skip
MODELS = TableSpec("marts", "fct_model_economics_daily", _schema(
    "billing_period charge_date:date provider_name host_provider_name project_id model_id base_model_id billing_currency "
    "request_count:count input_uncached_tokens:tokens input_cache_read_tokens:tokens input_cache_write_5m_tokens:tokens "
    "input_cache_write_1h_tokens:tokens output_tokens:tokens cache_read_tokens_total:tokens input_tokens_total:tokens "
    "output_tokens_total:tokens effective_cost:money cost_per_request:money "
    "cost_per_million_tokens:money cache_hit_rate:money"
))  # fmt: skip
RECONCILIATION = TableSpec("ops", "reconciliation", pa.schema([
    *_schema(
        "run_id source_id billing_period billing_currency measure bill_total:money bronze_total:money focus_total:money "
        "mart_total:money rounding_residual:money difference:money status named_residuals"
    ),
    pa.field("checked_at", pa.timestamp("us", tz="UTC")),
]))  # fmt: skip

RESTATEMENTS = TableSpec("marts", "fct_restatements", pa.schema([
    *_schema("source_id billing_period billing_currency change_number:count"),
    pa.field("replaced_at", pa.timestamp("us", tz="UTC")),
    pa.field("closed_month_reopened", pa.bool_()),
    *_schema("cause"),
    *(pa.field(name, pa.decimal128(38, 18)) for name in ("billed_then", "billed_now", "difference")),
]))  # fmt: skip

SPIKE_DAY = date(2026, 10, 9)
FIRST_DAY = date(2025, 10, 1)
LAST_DAY = date(2026, 10, 31)

Row = dict[str, Any]


def charge(day: date, provider: str, service: str, cost: Decimal, **more: Any) -> Row:
    """One row of fct_cost_daily with plain defaults; billed = effective = list unless said otherwise."""
    row: Row = {
        "source_id": f"{provider.lower()}-main", "billing_period": f"{day:%Y-%m}", "charge_date": day, "provider_name": provider,
        "billing_account_id": "1", "billing_account_name": "payer", "sub_account_id": "111", "sub_account_name": "production",
        "service_category": "Compute", "service_subcategory": None, "service_name": service, "region_id": "eu-central-1",
        "model_id": None, "owner": "platform", "owner_reason": None, "charge_category": "Usage", "pricing_category": "Standard",
        "commitment_discount_status": None, "billing_currency": "USD", "billed_cost": cost, "effective_cost": cost, "list_cost": cost,
        "contracted_cost": cost, "line_count": 24,
    }  # fmt: skip
    return row | more


SERVICES: tuple[tuple[str, str, float, dict[str, Any]], ...] = (
    ("AWS", "Amazon EC2", 900.0, {}),
    ("AWS", "Amazon EC2", 260.0, {"sub_account_id": "222", "sub_account_name": "research", "owner": "research"}),
    ("AWS", "Amazon SageMaker", 380.0, {"sub_account_id": "222", "sub_account_name": "research", "owner": "research"}),
    ("AWS", "Amazon S3", 120.0, {"owner": None, "owner_reason": "no owner tag on the resource"}),
    ("AWS", "Amazon Bedrock", 150.0, {"model_id": "claude-sonnet-4-5", "service_category": "AI and Machine Learning"}),
    ("OpenAI", "OpenAI API", 210.0, {"model_id": "gpt-5", "sub_account_id": "proj_a", "sub_account_name": "assistant"}),
    ("OpenAI", "OpenAI API", 40.0, {"model_id": "gpt-5-mini", "sub_account_id": "proj_b", "sub_account_name": "search"}),
    ("Anthropic", "Claude API", 310.0, {"model_id": "claude-opus-4-5", "sub_account_id": "wrk_a", "sub_account_name": "coding"}),
)


def estate(seed: int = 7, spike: float | None = 8.0, first: date = FIRST_DAY, last: date = LAST_DAY) -> list[Row]:
    """Charges of 13 months; `spike` multiplies SageMaker in account research on SPIKE_DAY (None: clean)."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        growth = 1 + 0.35 * offset / 395
        weekend = 0.62 if day.weekday() >= 5 else 1.0
        for provider, service, base, more in SERVICES:
            amount = base * growth * weekend * rng.lognormvariate(0, 0.07)
            if spike and day == SPIKE_DAY and service == "Amazon SageMaker":
                amount *= spike
            rows.append(charge(day, provider, service, Decimal(f"{amount:.10f}"), **more))
        rows.extend(_commitment(day, rng))
        if day.day == 1:
            rows.extend(row | {"line_count": 1} for row in _monthly(day, Decimal(1)))
    return rows


def _commitment(day: date, rng: random.Random) -> Iterable[Row]:
    used = Decimal(f"{110 * rng.lognormvariate(0, 0.03):.10f}")
    yield charge(
        day, "AWS", "Amazon EC2", used, billed_cost=Decimal(0), list_cost=used * 2, pricing_category="Committed",
        commitment_discount_status="Used",
    )  # fmt: skip


def _monthly(day: date, scale: Decimal) -> Iterable[Row]:
    """What a legacy bill dates on the first of the month."""
    zero = Decimal(0)
    unused = Decimal("412.33")
    yield charge(
        day,
        "AWS",
        "Amazon EC2",
        unused,
        billed_cost=zero,
        list_cost=zero,
        pricing_category="Committed",
        commitment_discount_status="Unused",
    )
    yield charge(day, "AWS", "AWS Support (Business)", Decimal(2900) * scale, owner=None, owner_reason="no owner tag on the resource")
    yield charge(day, "AWS", "Amazon Route 53", Decimal(1250))
    yield charge(day, "AWS", "AWS Tax", Decimal("6310.17"), charge_category="Tax", owner=None, owner_reason="tax has no owner")
    yield charge(day, "AWS", "AWS Credits", Decimal(-900), charge_category="Credit", owner=None, owner_reason="credits have no owner")
    yield charge(
        day, "AWS", "Amazon EC2", zero, billed_cost=Decimal(3600), list_cost=Decimal(3600), charge_category="Purchase",
        pricing_category="Committed",
    )  # fmt: skip


def economics(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Token and model marts that agree with the model charges of an estate."""
    tokens: list[Row] = []
    models: list[Row] = []
    for row in rows:
        if row["model_id"] is None:
            continue
        base = {key: row[key] for key in ("billing_period", "charge_date", "provider_name", "model_id", "billing_currency")}
        base |= {"base_model_id": row["model_id"], "host_provider_name": row["provider_name"]}
        base["project_id"] = row["sub_account_id"]
        counts = {"input_uncached": 6_000_000, "input_cache_read": 9_000_000, "output": 1_500_000}
        for token_class, part in (("input_uncached", "0.4"), ("input_cache_read", "0.1"), ("output", "0.5")):
            cost = row["effective_cost"] * Decimal(part)
            count = Decimal(counts[token_class])
            tokens.append(base | {
                "token_class": token_class, "service_tier": "standard", "tokens": count, "effective_cost": cost,
                "cost_per_million_tokens": None, "cost_reason": None,
            })  # fmt: skip
        models.append(base | {
            "request_count": 4000, "input_uncached_tokens": Decimal(6_000_000), "input_cache_read_tokens": Decimal(9_000_000),
            "input_cache_write_5m_tokens": Decimal(0), "input_cache_write_1h_tokens": Decimal(0), "output_tokens": Decimal(1_500_000),
            "cache_read_tokens_total": Decimal(9_000_000), "output_tokens_total": Decimal(1_500_000),
            "input_tokens_total": Decimal(15_000_000), "effective_cost": row["effective_cost"], "cost_per_request": None,
            "cost_per_million_tokens": None, "cache_hit_rate": None,
        })  # fmt: skip
    return tokens, models


def write_marts(settings: Settings, rows: list[Row], with_economics: bool = True) -> Settings:
    """Publish the rows as `marts.*` Delta tables."""
    lake = Lake(settings)
    lake.overwrite(COST_DAILY, pa.Table.from_pylist(rows, schema=COST_DAILY.schema))
    if with_economics:
        tokens, models = economics(rows)
        lake.overwrite(TOKENS, pa.Table.from_pylist(tokens, schema=TOKENS.schema))
        lake.overwrite(MODELS, pa.Table.from_pylist(models, schema=MODELS.schema))
    return settings


def days(first: date, count: int, cost: str = "10", provider: str = "AWS", service: str = "Amazon EC2", **more: Any) -> list[Row]:
    """The same charge on `count` days."""
    return [charge(first + timedelta(days=offset), provider, service, Decimal(cost), **more) for offset in range(count)]


class Make:
    """Builders of rows, handed to tests as a fixture, since tests import nothing from each other."""

    charge = staticmethod(charge)
    days = staticmethod(days)
    estate = staticmethod(estate)
    write_marts = staticmethod(write_marts)
    spike_day = SPIKE_DAY
    reconciliation = RECONCILIATION
    restatements = RESTATEMENTS


@pytest.fixture(scope="session")
def make() -> Make:
    """Builders of rows of the marts."""
    return Make()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An empty lake of this test."""
    return Settings.load(home=tmp_path)


@pytest.fixture
def publish(settings: Settings) -> Callable[..., Settings]:
    """Publish rows as marts into this test's lake."""
    return lambda rows, **more: write_marts(settings, rows, **more)


@pytest.fixture
def token_rows() -> Callable[..., None]:
    """Publish one row of the token mart: January 2026, gpt-5, output."""

    def write(settings: Settings, tokens: Decimal, cost: Decimal | None, reason: str | None) -> None:
        row = {
            "billing_period": "2026-01", "charge_date": date(2026, 1, 5), "provider_name": "OpenAI", "project_id": "p", "model_id": "gpt-5",
            "base_model_id": "gpt-5", "token_class": "output", "service_tier": "standard", "billing_currency": "USD", "tokens": tokens,
            "effective_cost": cost, "cost_per_million_tokens": None, "cost_reason": reason,
        }  # fmt: skip
        Lake(settings).overwrite(TOKENS, pa.Table.from_pylist([row], schema=TOKENS.schema))

    return write


@pytest.fixture(scope="module")
def own_estate(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The seeded estate again, for a module that looks at what a first run writes."""
    return write_marts(Settings.load(home=tmp_path_factory.mktemp("own")), estate(), with_economics=False)


@pytest.fixture(scope="session")
def estate_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The seeded estate with its planted spike; read it, and write nothing but insights into it."""
    return write_marts(Settings.load(home=tmp_path_factory.mktemp("estate")), estate())
