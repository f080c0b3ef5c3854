"""What must hold of the AI inside the bill: nothing of weight unexplained, no unit that changed under a known SKU, sums that stay sums.

Data flow: `focus.cost_and_usage`, `marts.fct_ai_cost_daily`, `marts.fct_node_cost_daily` → rules, which `quality.suites` puts into suites.

Run alone: python -c "from quality.ai_rules import focus_ai_rules; print(focus_ai_rules())"
"""

from __future__ import annotations

from decimal import Decimal

from quality.rules import Rule, Suite, between, no_rows, not_null

# Unexplained AI usage stops the publication when it is more than this share of a source's AI cost in a month and more than this many units
# of the billing currency; below it is told. Amounts count without their sign, so that a credit cannot hide a charge.
UNMAPPED_SHARE = Decimal("0.01")
UNMAPPED_COST = Decimal(1)
# A price per token, hour or request that is this many times another one of the same SKU in another unit is a misread unit (1K, 1M): the
# tiers and regions of one SKU differ far less.
UNIT_PRICE_JUMP = 100

_ADD_RULE = "add a rule to dbt/seeds/ai_rules.csv and a case to ai_cases.csv (docs/decisions/0021), then `costlake transform`"
_UNMAPPED = """
    SELECT source, period, usage_type, cost, rows, unmapped, ai_cost, reason, service FROM (
        SELECT *, sum(weight) FILTER (unexplained) OVER slice AS unmapped, sum(weight) OVER slice AS ai_cost FROM (
            SELECT x_SourceId AS source, x_BillingPeriod AS period, x_AiUsageKind IS NULL AS unexplained, ServiceName AS service,
                CASE WHEN x_AiUsageKind IS NULL THEN coalesce(x_UsageType, SkuMeter, ChargeDescription) END AS usage_type,
                min(x_AiReason) AS reason, sum(EffectiveCost) AS cost, sum(abs(EffectiveCost)) AS weight, count(*) AS rows
            FROM {{batch}} WHERE x_AiUsageKind IS NOT NULL OR x_AiReason IS NOT NULL
            GROUP BY x_SourceId, x_BillingPeriod, unexplained, service, usage_type
        ) WINDOW slice AS (PARTITION BY source, period)
    )
    WHERE unexplained AND (unmapped > {share} * ai_cost AND unmapped > {cost}) = {heavy} ORDER BY abs(cost) DESC
"""
# FOCUS writes a unit's number before it ("1000000 Tokens"): price / number is the price of one.
_UNIT_JUMP = """
    SELECT host, sku, min(unit) AS one_unit, max(unit) AS other_unit, min(price) AS lowest, max(price) AS highest FROM (
        SELECT coalesce(HostProviderName, ServiceProviderName) AS host, SkuId AS sku, PricingUnit AS unit, median(
                CAST(ListUnitPrice AS DOUBLE) / coalesce(try_cast(regexp_extract(PricingUnit, '^([0-9]+) ', 1) AS DOUBLE), 1)
            ) AS price
        FROM {{batch}}
        WHERE SkuId IS NOT NULL AND ListUnitPrice > 0 AND ChargeCategory = 'Usage' AND (x_TokenClass IS NOT NULL) = {tokens}
        GROUP BY ALL
    ) GROUP BY host, sku HAVING count(*) > 1 AND max(price) > {jump} * min(price)
"""


def focus_ai_rules() -> tuple[Rule, ...]:
    """Rules over FOCUS rows: unexplained AI usage and units that changed."""
    thresholds = {"share": UNMAPPED_SHARE, "cost": UNMAPPED_COST}
    unit = "compare the unit with an older delivery; correct it at staging (aws_units, Source) or ask the provider for a redelivery"
    unknown = """SELECT x_AiReason AS reason, coalesce(x_InstanceType, x_ModelId, x_UsageType, SkuMeter) AS what,
        sum(EffectiveCost) AS cost, count(*) AS rows
        FROM {batch} WHERE x_AiReason IS NOT NULL AND x_AiUsageKind IS NOT NULL GROUP BY ALL ORDER BY abs(cost) DESC"""
    return (
        no_rows("unmapped_ai_usage", _UNMAPPED.format(heavy="true", **thresholds), _ADD_RULE),
        no_rows("unmapped_ai_usage_of_little_weight", _UNMAPPED.format(heavy="false", **thresholds), _ADD_RULE, severity="warn"),
        no_rows("ai_model_machine_and_unit_are_known", unknown, f"{_ADD_RULE}; machines: ai_accelerators.csv", severity="warn"),
        no_rows("token_sku_keeps_its_price_in_every_unit", _UNIT_JUMP.format(tokens="true", jump=UNIT_PRICE_JUMP), unit),
        no_rows("sku_keeps_its_price_in_every_unit", _UNIT_JUMP.format(tokens="false", jump=UNIT_PRICE_JUMP), unit, severity="warn"),
    )


def ai_cost_suite(rebuild: str) -> Suite:
    """The suite of fct_ai_cost_daily. An empty mart is no fault: a bill may hold no AI."""
    rules = (
        *(not_null(column, rebuild) for column in ("source_id", "billing_period", "charge_date", "billed_cost", "effective_cost")),
        between("line_count", 1, None, rebuild),
        between("accelerator_hours", 0, None, "look for negative usage, a correction of an earlier day", severity="warn"),
        no_rows(
            "kind_or_reason_is_given",
            "SELECT source_id, billing_period, service_name FROM {batch} WHERE usage_kind IS NULL AND ai_reason IS NULL",
            rebuild,
        ),
    )
    return Suite("fct_ai_cost_daily", "marts", "marts.fct_ai_cost_daily", rules)


def node_cost_suite(rebuild: str) -> Suite:
    """The suite of fct_node_cost_daily: one row per machine, day and currency, with an owner or a reason."""
    rules = (
        *(not_null(column, rebuild) for column in ("source_id", "billing_period", "charge_date", "node_id", "effective_cost")),
        no_rows(
            "node_is_there_once_a_day",
            "SELECT source_id, billing_period, charge_date, node_id, billing_currency FROM {batch} GROUP BY ALL HAVING count(*) > 1",
            rebuild,
        ),
        no_rows(
            "owner_or_reason_is_given",
            "SELECT node_id, charge_date FROM {batch} WHERE owner IS NULL AND owner_reason IS NULL",
            "give the machine an owner tag, or the row a reason in its staging model (law 3)",
        ),
    )
    return Suite("fct_node_cost_daily", "marts", "marts.fct_node_cost_daily", rules)
