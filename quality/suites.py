"""What must hold in bronze and in the marts, as Python functions that return suites of rules.

Data flow: `Source` (table, measures, currency) → `bronze_suite`; the marts' contracts → `marts_suites`; both → `quality.engine`.

A new provider gets the whole of `bronze_suite` from its `Source`; what only one provider promises is in `source_rules.py`.

Run alone: python -c "from quality.suites import marts_suites; print(marts_suites())"
"""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from costlake.currencies import ISO_4217
from costlake.sql import literal, sql_type
from costlake.tables import LINEAGE, TableSpec
from ingest.source import Source
from quality.ai_rules import ai_cost_suite, focus_ai_rules, node_cost_suite
from quality.efficiency_rules import efficiency_suites
from quality.gpu_rules import gpu_suites
from quality.llm_rules import ledger_suite, llm_reconciliation_suite
from quality.rules import Rule, Suite, between, no_rows, not_null
from quality.source_rules import rules_of

# What can change in a month's bill, told from its rows and totals (fct_restatements).
RESTATEMENT_CAUSES = ("first_report", "open_month_grew", "late_rows", "credits_or_refunds", "price_restated", "rows_withdrawn")
_LATEST_DELIVERY = dt.timedelta(days=3)
_ROW = "_object_key, _row_number"
# A file handed over alone has no manifest; an account is known where accounts.yml names it.
_OPTIONAL_LINEAGE = frozenset({"_account_id", "_account_name", "_manifest_hash"})
_REQUIRED_LINEAGE = [field.name for field in LINEAGE if field.name not in _OPTIONAL_LINEAGE]

_REINGEST = "read the row in landing (`_object_key`, `_row_number`); correct the source's reader, or ask the provider for a redelivery"
_REBUILD = "run `costlake transform --full-refresh`; if it stays, correct the dbt model"


def bronze_suite(source: Source, checked_at: dt.datetime | None = None) -> Suite:
    """The suite of a source's bronze table, for the rows of one export.

    Args:
        source: what the provider says of itself.
        checked_at: the instant against which freshness is judged; None leaves freshness out (a selection of old slices).

    Returns:
        Rules on shape, lineage, identity, active deliveries, money, currency, counts, freshness, then the provider's own.
    """
    rules = [
        Rule("has_rows", "row_count", "fail", "run `costlake deliveries`, then `costlake ingest`", minimum=1),
        no_rows(
            "columns_are_present_and_typed",
            _columns_sql(source.table),
            f"bring the table's columns back to TableSpec {source.table.name} in ingest/sources",
        ),
        *(not_null(column, "correct the loader: every row names its delivery") for column in _REQUIRED_LINEAGE),
        no_rows(
            "row_identity_is_unique",
            "SELECT _delivery_id, _object_key, _row_number, count(*) AS copies FROM {batch} GROUP BY ALL HAVING count(*) > 1",
            "load the slice again with `costlake ingest`; a slice was written twice",
        ),
        no_rows(
            "only_one_delivery_is_active",
            "SELECT _billing_period, _slice, min(_delivery_id) AS one, max(_delivery_id) AS other FROM {batch}"
            " GROUP BY ALL HAVING count(DISTINCT _delivery_id) > 1",
            "load the newest delivery of the slice again; it replaces the slice whole",
        ),
        *_money_rules(source),
        *_count_rules(source),
        *rules_of(source.name),
    ]
    if checked_at is not None:
        rules.append(_freshness_rule(checked_at))
    return Suite(f"bronze_{source.name}", "bronze", f"bronze.{source.table.name}", tuple(rules))


def _columns_sql(table: TableSpec) -> str:
    wanted = ", ".join(f"({literal(field.name)}, {literal(sql_type(field.type))})" for field in table.schema)
    return (
        f"SELECT wanted.name AS column_name, wanted.type AS wanted, found.column_type AS found FROM (VALUES {wanted}) wanted(name, type)"
        " LEFT JOIN (DESCRIBE SELECT * FROM {batch}) found ON found.column_name = wanted.name"
        " WHERE found.column_type IS NULL"
        # of a record's fields DuckDB quotes those only that are keywords
        " OR replace(replace(found.column_type, 'TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ'), '\"', '') <> replace(wanted.type, '\"', '')"
    )


def _money_rules(source: Source) -> list[Rule]:
    rules = [
        no_rows(f"{name}_is_known", f"SELECT {_ROW} FROM {{batch}} WHERE ({_braced(sql)}) IS NULL", _REINGEST)
        for name, sql in source.measures.items()
    ]
    if source.currency_sql is not None:
        currency = _braced(source.currency_sql)
        rules.append(
            no_rows(
                "currency_is_iso_4217",
                f"SELECT {_ROW}, {currency} AS currency FROM {{batch}} WHERE coalesce({currency}, '') NOT IN ({_codes()})",
                _REINGEST,
            )
        )
    return rules


def _count_rules(source: Source) -> list[Rule]:
    if not source.counts_tokens and source.feeds != "activity":
        return []
    lineage = {field.name for field in LINEAGE}
    counts = [field.name for field in source.table.schema if pa.types.is_int64(field.type) and field.name not in lineage]
    return [between(column, 0, None, _REINGEST) for column in counts]


def _freshness_rule(checked_at: dt.datetime) -> Rule:
    oldest = int((checked_at - _LATEST_DELIVERY).timestamp())
    return no_rows(
        "newest_delivery_is_fresh",
        f"SELECT max(_ingested_at) AS newest_delivery FROM {{batch}} HAVING epoch(max(_ingested_at)) < {oldest}",
        "look whether the provider still delivers (`costlake deliveries`) and whether the ingest DAG runs",
        severity="warn",
    )


def marts_suites() -> tuple[Suite, ...]:
    """The suites of FOCUS and the marts, one per table of the warehouse."""
    return (
        _focus_suite(),
        _cost_suite(),
        ai_cost_suite(_REBUILD),
        node_cost_suite(_REBUILD),
        _token_suite(),
        _model_suite(),
        _restatement_suite(),
        _faults_suite(),
        *efficiency_suites(_REBUILD),
        ledger_suite(_REBUILD),
        llm_reconciliation_suite(_REBUILD),
        *gpu_suites(_REBUILD),
    )


def _focus_suite() -> Suite:
    place = "x_SourceId, x_ObjectKey, x_RowNumber"
    rules = (
        Rule("has_rows", "row_count", "fail", "run `costlake transform`", minimum=1),
        *(not_null(column, _REBUILD) for column in ("x_SourceId", "x_BillingPeriod", "x_DeliveryId", "BilledCost", "EffectiveCost")),
        *(not_null(column, _REBUILD) for column in ("ChargePeriodStart", "ChargeCategory", "ServiceCategory")),
        _iso_rule("BillingCurrency", place),
        no_rows(
            "owner_or_reason_is_given",
            f"SELECT {place} FROM {{batch}} WHERE x_Owner IS NULL AND x_OwnerReason IS NULL",
            "give the row an owner or a reason in its staging model (law 3)",
        ),
        no_rows(
            "model_or_reason_is_given",
            f"SELECT {place}, ServiceName FROM {{batch}}"
            " WHERE ServiceCategory = 'AI and Machine Learning' AND x_ModelId IS NULL AND x_ModelReason IS NULL",
            "give the row a model or a reason in its staging model (law 1)",
        ),
        *focus_ai_rules(),
    )
    return Suite("focus_cost_and_usage", "marts", "focus.cost_and_usage", rules)


def _cost_suite() -> Suite:
    place = "source_id, billing_period, charge_date, service_name"
    keys = ("source_id", "billing_period", "charge_date", "provider_name", "service_category", "charge_category")
    rules = (
        Rule("has_rows", "row_count", "fail", "run `costlake transform`", minimum=1),
        *(not_null(column, _REBUILD) for column in (*keys, "billed_cost", "effective_cost")),
        between("line_count", 1, None, _REBUILD),
        _iso_rule("billing_currency", place),
        no_rows(
            "every_currency_has_a_rate",
            "SELECT DISTINCT billing_period, billing_currency, exchange_rate_reason FROM {batch} WHERE exchange_rate IS NULL",
            "run `costlake rates`; where the ECB quotes no rate, give one as an override in config/currency.yml",
            severity="warn",
        ),
        no_rows(
            "owner_or_reason_is_given",
            f"SELECT {place} FROM {{batch}} WHERE owner IS NULL AND owner_reason IS NULL",
            "give the row an owner or a reason in its staging model (law 3)",
        ),
        no_rows(
            "charge_date_is_in_billing_period",
            f"SELECT {place} FROM {{batch}} WHERE strftime(charge_date, '%Y-%m') <> billing_period",
            "a provider may bill late usage; compare with the line in bronze, and correct the reader if it shifted the time zone",
            severity="warn",
        ),
    )
    return Suite("fct_cost_daily", "marts", "marts.fct_cost_daily", rules)


def _token_suite() -> Suite:
    place = "billing_period, charge_date, provider_name, model_id, token_class"
    rules = (
        *(not_null(column, _REBUILD) for column in ("billing_period", "charge_date", "provider_name")),
        between("tokens", 0, None, _REBUILD),
        between("cost_per_million_tokens", 0, None, "look for a credit larger than the usage of that day and class", severity="warn"),
        _iso_rule("billing_currency", place, known_only=True),
        no_rows(
            "price_or_reason_is_given",
            f"SELECT {place} FROM {{batch}} WHERE cost_per_million_tokens IS NULL AND cost_reason IS NULL",
            "give the reason in fct_token_economics_daily: unknown is never 0 and never silent (law 1)",
        ),
    )
    return Suite("fct_token_economics_daily", "marts", "marts.fct_token_economics_daily", rules)


def _model_suite() -> Suite:
    place = "billing_period, charge_date, provider_name, model_id"
    rules = (
        *(not_null(column, _REBUILD) for column in ("billing_period", "charge_date", "provider_name")),
        between("cache_hit_rate", 0, 1, _REBUILD),
        between("request_count", 0, None, _REBUILD),
        between("input_tokens_total", 0, None, _REBUILD),
        between("output_tokens_total", 0, None, _REBUILD),
        between("cost_per_million_tokens", 0, None, "look for a credit larger than the usage of that day and model", severity="warn"),
        _iso_rule("billing_currency", place, known_only=True),
    )
    return Suite("fct_model_economics_daily", "marts", "marts.fct_model_economics_daily", rules)


def _restatement_suite() -> Suite:
    place = "source_id, billing_period, billing_currency, change_number"
    keys = ("source_id", "billing_period", "replaced_at", "billed_now", "delivery_id_now", "cause")
    rules = (
        Rule("has_rows", "row_count", "fail", "run `costlake transform`", minimum=1),
        *(not_null(column, _REBUILD) for column in keys),
        between("change_number", 1, None, _REBUILD),
        between("row_count_now", 0, None, _REBUILD),
        _iso_rule("billing_currency", place),
        no_rows(
            "cause_is_of_the_vocabulary",
            f"SELECT {place}, cause FROM {{batch}} WHERE cause NOT IN ({', '.join(literal(cause) for cause in RESTATEMENT_CAUSES)})",
            "name the cause in RESTATEMENT_CAUSES and in the mart's description, or correct the mart",
            column="cause",
        ),
        no_rows(
            "difference_is_now_minus_then",
            f"SELECT {place} FROM {{batch}} WHERE difference <> billed_now - coalesce(billed_then, 0)",
            _REBUILD,
        ),
        no_rows(
            "only_the_first_report_has_nothing_before_it",
            f"SELECT {place} FROM {{batch}} WHERE (change_number = 1) <> (billed_then IS NULL)",
            _REBUILD,
        ),
    )
    return Suite("fct_restatements", "marts", "marts.fct_restatements", rules)


def _iso_rule(column: str, place: str, *, known_only: bool = False) -> Rule:
    condition = f"{column} NOT IN ({_codes()})" if known_only else f"coalesce({column}, '') NOT IN ({_codes()})"
    return no_rows(
        "currency_is_iso_4217",
        f"SELECT {place}, {column} FROM {{batch}} WHERE {condition}",
        "correct the currency in the source's staging model",
        column=column,
    )


def _codes() -> str:
    return ", ".join(literal(code) for code in sorted(ISO_4217))


def _braced(sql: str) -> str:
    return sql.replace("{", "{{").replace("}", "}}")


def _faults_suite() -> Suite:
    shown = "source_id, billing_period, rule_id, focus_rule, row_count, example_object_key, example_row_number, example_value"
    listed = f"SELECT {shown} FROM {{batch}} WHERE severity {{sign}} 'error' ORDER BY row_count DESC, rule_id, source_id, billing_period"
    rules = (
        *(not_null(column, _REBUILD) for column in ("source_id", "billing_period", "rule_id", "row_count")),
        no_rows(
            "vendors_focus_files_keep_every_must",
            listed.replace("{sign}", "="),
            "tell the vendor which rule of FOCUS its file breaks: these rows stand in FOCUS as they came, and only it can mend them",
            severity="warn",
        ),
        no_rows(
            "vendors_focus_files_need_no_repair",
            listed.replace("{sign}", "<>"),
            "read in marts.fct_focus_faults what was put in place of what came; tell the vendor",
            severity="warn",
        ),
    )
    return Suite("fct_focus_faults", "marts", "marts.fct_focus_faults", rules)
