"""A small AWS estate with every line item type: the bronze rows behind the dbt tests and the FOCUS validator gate.

Data flow: `aws_cur2_rows()`, `aws_cur_rows()` → tests/dbt/bronze.py → dbt.
All amounts are exact and chosen so that the totals can be checked by hand.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
PERIOD_START, PERIOD_END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
SP_ARN = "arn:aws:savingsplans::111111111111:savingsplan/sp-1"
RI_ARN = "arn:aws:ec2:us-east-1:111111111111:reserved-instances/ri-1"
GPU_SKU = {"product_sku": "GPUSKU", "pricing_rate_code": "GPUSKU.JRTCKXETXF.6YS6EN2CT7"}


def money(text: str) -> Decimal:
    """The amount as the exporter writes it."""
    return Decimal(text)


def line(number: int, kind: str, cost: str, **columns: Any) -> Row:
    """One CUR line of account 000000000222 (leading zeros matter) in October 2026, hour 10 of the 5th unless said."""
    start = columns.pop("start", datetime(2026, 10, 5, 10, tzinfo=UTC))
    end = columns.pop("end", start + timedelta(hours=1))
    base: Row = {
        "_source_id": "aws-main",
        "_billing_period": "2026-10",
        "_slice": "2026-10",
        "_delivery_id": "delivery-1",
        "_object_key": "cur2-00001",
        "_row_number": number,
        "bill_bill_type": "Anniversary",
        "bill_billing_entity": "AWS",
        "bill_billing_period_start_date": PERIOD_START,
        "bill_billing_period_end_date": PERIOD_END,
        "bill_invoice_id": "INV-1",
        "bill_invoicing_entity": "Amazon Web Services, Inc.",
        "bill_payer_account_id": "111111111111",
        "bill_payer_account_name": "payer",
        "line_item_currency_code": "USD",
        "line_item_legal_entity": "Amazon Web Services, Inc.",
        "line_item_line_item_description": f"{kind} line {number}",
        "line_item_line_item_type": kind,
        "line_item_unblended_cost": money(cost),
        "line_item_usage_account_id": "000000000222",
        "line_item_usage_account_name": "research",
        "line_item_usage_start_date": start,
        "line_item_usage_end_date": end,
    }
    return base | columns


def usage(code: str, usage_type: str, amount: str, unit: str, **columns: Any) -> Row:
    """Columns of a metered line."""
    return {
        "line_item_product_code": code,
        "product_servicecode": code,
        "line_item_usage_type": usage_type,
        "line_item_usage_amount": money(amount),
        "pricing_unit": unit,
        "pricing_term": "OnDemand",
        "product_region_code": "us-east-1",
        "line_item_operation": "RunInstances",
    } | columns


def gpu(**columns: Any) -> Row:
    """Columns of an hour of p5.48xlarge at 98.32 USD."""
    return (
        usage("AmazonEC2", "BoxUsage:p5.48xlarge", "1", "Hrs")
        | GPU_SKU
        | {
            "line_item_resource_id": "i-0a",
            "line_item_availability_zone": "us-east-1a",
            "line_item_unblended_rate": "98.3200000000",
            "pricing_public_on_demand_rate": "98.3200000000",
            "product_instance_type": "p5.48xlarge",
            "product": {"vcpu": "192", "memory": "2,048 GiB", "gpu": "8", "operating_system": "Linux"},
            "resource_tags": {"user_team": "research", "aws_created_by": "root"},
        }
        | columns
    )


def bedrock(meter: str, amount: str, rate: str, **columns: Any) -> Row:
    """Columns of a first-party Bedrock line, priced per thousand tokens."""
    sku = {"product_sku": f"BR{meter[5:9]}{meter[-6:]}", "line_item_unblended_rate": rate, "pricing_public_on_demand_rate": rate}
    return usage("AmazonBedrock", meter, amount, "1K tokens", line_item_operation="InvokeModelInference") | sku | columns


def aws_cur2_rows() -> list[Row]:
    """October 2026 of `aws-main`: billed 1 359.57, effective 401.065."""
    month = {"start": PERIOD_START, "end": PERIOD_END - timedelta(seconds=1)}
    savings = {"savings_plan_savings_plan_a_r_n": SP_ARN, "savings_plan_offering_type": "ComputeSavingsPlans"}
    reservation = {"reservation_reservation_a_r_n": RI_ARN}
    covered = {"savings_plan_savings_plan_effective_cost": money("60.00")}
    fee = {"savings_plan_total_commitment_to_date": money("75.00"), "savings_plan_used_commitment": money("60.00")}
    unused = {
        "reservation_unused_quantity": money("244"),
        "reservation_unused_normalized_unit_quantity": money("976"),
        "reservation_unused_recurring_fee": money("7.32"),
        "reservation_unused_amortized_upfront_fee_for_billing_period": money("2.44"),
        "reservation_total_reserved_normalized_units": "2976",
    }
    c5 = {"product_sku": "C5SKU", "product_instance_type": "c5.large", "line_item_normalized_usage_amount": money("4")}
    new = {"resource_tags": {"user_env": "prod"}, "product": {"product_name": "Red Hat® New–Service™"}}
    seller = {
        "bill_billing_entity": "AWS Marketplace",
        "line_item_legal_entity": "Anthropic, PBC",
        "product": {"product_name": "Claude Sonnet 4.6 (Amazon Bedrock Edition)"},
        "line_item_line_item_description": "AWS Marketplace software usage|us-east-1|Million Input Tokens",
        "line_item_unblended_rate": "3.00",
        "pricing_public_on_demand_rate": None,
        "product_sku": None,
    }
    rows = [
        line(1, "Usage", "98.32", **gpu()),
        line(2, "Usage", "20.00", **usage("AmazonEC2", "SpotUsage:g5.xlarge", "40", "Hrs", line_item_resource_id="i-0b")),
        line(3, "SavingsPlanCoveredUsage", "98.32", **gpu(), **savings, **covered),
        line(4, "SavingsPlanNegation", "-98.32", **usage("AmazonEC2", "BoxUsage:p5.48xlarge", "1", "Hrs"), **savings),
        line(5, "SavingsPlanRecurringFee", "75.00", **usage("ComputeSavingsPlans", "ComputeSP:1yrNoUpfront", "1", "Hrs"), **savings, **fee),
        line(6, "SavingsPlanUpfrontFee", "500.00", **usage("ComputeSavingsPlans", "ComputeSP:3yrAllUpfront", "1", "Quantity"), **savings),
        line(
            7,
            "DiscountedUsage",
            "0",
            **usage("AmazonEC2", "BoxUsage:c5.large", "1", "Hrs", line_item_resource_id="i-0c"),
            **c5,
            **reservation,
            pricing_public_on_demand_rate="0.085",
            line_item_unblended_rate="0",
            reservation_effective_cost=money("0.055"),
        ),
        line(
            8,
            "RIFee",
            "22.32",
            **usage("AmazonEC2", "HeavyUsage:c5.large", "744", "Hrs"),
            **(c5 | {"line_item_normalized_usage_amount": money("2976")}),
            **reservation,
            **unused,
            **month,
            line_item_unblended_rate="0.03",
        ),
        line(9, "Fee", "446.00", **usage("AmazonEC2", "HeavyUsage:c5.large", "2", "Quantity"), **reservation, **c5),
        line(10, "Fee", "100.00", line_item_product_code="AWSSupportBusiness", line_item_usage_type="Dollar", **month),
        line(11, "Tax", "40.00", line_item_product_code="AmazonEC2", line_item_tax_type="VAT", **month),
        line(12, "Credit", "-10.00", line_item_product_code="AmazonEC2", **month),
        line(13, "Refund", "-5.00", bill_bill_type="Refund", line_item_product_code="AmazonEC2"),
        line(14, "Usage", "0.30", **bedrock("USE1-NovaPro-input-tokens", "375", "0.0008")),
        line(15, "Usage", "0.32", **bedrock("USE1-NovaPro-output-tokens", "100", "0.0032")),
        line(16, "Usage", "0.02", **bedrock("USE1-NovaPro-cache-read-input-token-count", "100", "0.0002")),
        line(17, "Usage", "0.09", **bedrock("USE1-NovaPro-cache-write-input-token-count", "90", "0.001")),
        line(18, "Usage", "12.00", **bedrock("USE1-MP:USE1_InputTokenCount-Units", "4", "3.00") | seller | {"pricing_unit": "Units"}),
        line(19, "Usage", "0.20", **bedrock("USE1-Guardrail-ContentPolicyUnitsConsumed", "1", "0.20") | {"pricing_unit": "text units"}),
        line(20, "Usage", "55.00", **usage("AmazonEC2", "UnusedBox:p5.48xlarge", "1", "Hrs"), **capacity("55")),
        line(21, "Usage", "0", **usage("AmazonEKS", "USE1-EKS", "0", "Hrs"), split_line_item_parent_resource_id="i-0a"),
        line(22, "Usage", "4.60", **usage("AmazonS3", "TimedStorage-ByteHrs", "200", "GB-Mo", product_region_code="global")),
        line(23, "Usage", "0.40", **usage("NewService", "USE1-Widget", "7", "Widget-Fortnights"), **new),
    ]
    return rows + discounted_rows()


def capacity(rate: str) -> Row:
    """Columns of an unused capacity reservation."""
    arn = "arn:aws:ec2:us-east-1:111111111111:capacity-reservation/cr-1"
    return {
        "capacity_reservation_capacity_reservation_arn": arn,
        "capacity_reservation_capacity_reservation_status": "Unused",
        "line_item_unblended_rate": rate,
        "pricing_public_on_demand_rate": rate,
        "line_item_resource_id": arn,
    }


def discounted_rows() -> list[Row]:
    """Two more exports with an EDP: `aws-net` gives net costs and discount lines (9 % off 200), `aws-lines` lines
    only, 0.0 where there is no net cost, and no end of the billing period (CUR 2.0 lets one leave out columns)."""
    unended: Row = {"_source_id": "aws-lines", "bill_billing_period_end_date": None}
    net = {"_source_id": "aws-net", "line_item_net_unblended_cost": money("91.00"), "line_item_net_unblended_rate": "91.00"}
    hundred = gpu() | {"line_item_unblended_rate": "100.00", "pricing_public_on_demand_rate": "100.00"}
    return [
        line(1, "Usage", "100.00", **hundred | net),
        line(2, "Usage", "100.00", **hundred | net),
        line(3, "EdpDiscount", "-18.00", _source_id="aws-net", line_item_product_code="AmazonEC2"),
        line(1, "Usage", "100.00", **hundred | unended | {"line_item_net_unblended_cost": money("0")}),
        line(2, "EdpDiscount", "-9.00", **unended, line_item_product_code="AmazonEC2"),
    ]


def aws_cur_rows() -> list[Row]:
    """A legacy report with dynamic tag columns; 0.60 billed, covered usage whose negation is missing (30.00), an idle capacity
    reservation (55.00) of which it only names the resource, and a reservation's fee (1.00)."""
    legacy = {"_source_id": "aws-legacy", "product_product_name": "Amazon Elastic Compute Cloud", "product_region": "us-east-1"}
    hour = usage("AmazonEC2", "BoxUsage:m5.large", "1", "Hrs", line_item_resource_id="i-0d") | {"product_region_code": None}
    tags = {"resource_tags_user_cost_center": "0042", "resource_tags_aws_created_by": 'Role:"x"\\y'}
    covered = {"savings_plan_savings_plan_effective_cost": money("0.10"), "pricing_public_on_demand_rate": "30.00"}
    idle = "arn:aws:ec2:us-east-1:111111111111:capacity-reservation/cr-9"
    unused = {"reservation_reservation_a_r_n": RI_ARN, "reservation_unused_recurring_fee": money("1.00")}
    return [
        line(1, "Usage", "0.60", **hour | legacy | tags, line_item_unblended_rate="0.60", pricing_public_on_demand_rate="0.60"),
        line(2, "SavingsPlanCoveredUsage", "30.00", **hour | legacy, **covered),
        line(3, "Usage", "55.00", **usage("AmazonEC2", "UnusedBox:p5.48xlarge", "1", "Hrs", line_item_resource_id=idle) | legacy),
        # what was left unused costs 1.00, and the report does not say how many hours that were
        line(4, "RIFee", "1.00", **usage("AmazonEC2", "HeavyUsage:c5.large", "10", "Hrs") | legacy | unused),
    ]


LEGACY_TAGS = ("resource_tags_user_cost_center", "resource_tags_user_team", "resource_tags_aws_created_by")
