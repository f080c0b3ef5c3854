"""The demo company's AWS accounts and price list: public prices → price points (meters).

Prices are public us-east-1 prices rounded to AWS's own decimals; token prices come from `prices`. Units are AWS's own
(`Hrs`, `GB-Mo`, `1K tokens`, …); money is USD.

Run alone: python -c "from ingest.demo.aws_catalog import nova_meters; print(nova_meters('NovaPro', 'amazon.nova-pro-v1:0'))"
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from ingest.demo.prices import TokenPrices, token_prices

AWS = "Amazon Web Services, Inc."
PAYER = ("111122223333", "costlake-demo-payer")
# One id begins with zeros on purpose: a reader that takes account ids for numbers loses them.
ACCOUNTS = {
    "research": ("222233334444", "costlake-demo-research"),
    "product": ("333344445555", "costlake-demo-product"),
    "platform": ("444455556666", "costlake-demo-platform"),
    "data": ("009999999999", "costlake-demo-data"),
}
SPIKE_ACCOUNT = "research"
SPIKE_SERVICE = "AmazonSageMaker"
SPIKE_FACTOR = Decimal(8)
_PRICE_DAY = dt.date(2026, 1, 1)  # the Bedrock prices used here don't change in the list; a fixed day keeps them so


@dataclass(frozen=True)
class Meter:
    """One price point.

    Attributes:
        rate: on-demand USD per `unit`; savings_plan_rate: USD per unit under the Compute Savings Plan, None when not eligible.
        on_demand: for a spot price point, the on-demand rate of the same instance; None otherwise.
        digits: decimals of the usage amount. Those of rate × amount stay within ten, so that a double can hold the cost exactly enough.
        cap: most units one resource can use a day (24 for an instance).
    """

    service: str
    product_name: str
    usage_type: str
    operation: str
    unit: str
    rate: Decimal
    family: str
    description: str
    instance_type: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    savings_plan_rate: Decimal | None = None
    normalization: Decimal = Decimal(0)
    product_code: str = ""
    seller: str = AWS
    on_demand: Decimal | None = None
    digits: int = 4
    cap: Decimal | None = None

    @property
    def code(self) -> str:
        """line_item_product_code: opaque for marketplace products, else the service code."""
        return self.product_code or self.service

    @property
    def spot(self) -> bool:
        """Sold at the day's spot price."""
        return self.on_demand is not None


def _instance(
    kind: str, rate: str, *, gpu: str = "", vcpu: str, memory: str, factor: int, plan: str | None = None, on_demand: str | None = None
) -> Meter:
    spot = on_demand is not None
    usage_type = f"{'SpotUsage' if spot else 'BoxUsage'}:{kind}"
    what = "Spot Instance-hour" if spot else "per On Demand Linux"
    return Meter(
        "AmazonEC2",
        "Amazon Elastic Compute Cloud",
        usage_type,
        "RunInstances:SV001" if spot else "RunInstances",
        "Hrs",
        Decimal(rate),
        "Compute Instance",
        f"${rate} {what} {kind} Instance Hour",
        kind,
        (("gpu", gpu), ("vcpu", vcpu), ("memory", memory), ("operating_system", "Linux")),
        Decimal(plan) if plan else None,
        Decimal(factor),
        on_demand=Decimal(on_demand) if on_demand else None,
        cap=Decimal(24),
    )


def _plain(
    service: str,
    product: str,
    usage_type: str,
    operation: str,
    unit: str,
    rate: str,
    family: str,
    *,
    kind: str = "",
    digits: int = 4,
    hourly: bool = False,
    factor: int = 0,
) -> Meter:
    return Meter(
        service,
        product,
        usage_type,
        operation,
        unit,
        Decimal(rate),
        family,
        f"${rate} per {unit} of {family} - {usage_type}",
        kind,
        normalization=Decimal(factor),
        digits=digits,
        cap=Decimal(24) if hourly else None,
    )


P5 = _instance("p5.48xlarge", "55.04", gpu="8", vcpu="192", memory="2048 GiB", factor=384, plan="31.464")
P4D = _instance("p4d.24xlarge", "21.957642", gpu="8", vcpu="96", memory="1152 GiB", factor=192)
G6 = _instance("g6.xlarge", "0.8048", gpu="1", vcpu="4", memory="16 GiB", factor=8)
G6_SPOT = _instance("g6.xlarge", "0.3219", gpu="1", vcpu="4", memory="16 GiB", factor=8, on_demand="0.8048")
M7I = _instance("m7i.xlarge", "0.2016", vcpu="4", memory="16 GiB", factor=8, plan="0.1412")
M7I_4X = _instance("m7i.4xlarge", "0.8064", vcpu="16", memory="64 GiB", factor=32, plan="0.5645")

_EC2, _S3, _SM = "Amazon Elastic Compute Cloud", "Amazon Simple Storage Service", "Amazon SageMaker"
GP3 = _plain("AmazonEC2", _EC2, "EBS:VolumeUsage.gp3", "CreateVolume-Gp3", "GB-Mo", "0.08", "Storage", digits=6)
NAT = _plain("AmazonEC2", _EC2, "NatGateway-Bytes", "NatGateway", "GB", "0.045", "NAT Gateway")
EGRESS = _plain("AWSDataTransfer", "AWS Data Transfer", "DataTransfer-Out-Bytes", "RunInstances", "GB", "0.09", "Data Transfer")
CROSS_AZ = _plain("AWSDataTransfer", "AWS Data Transfer", "DataTransfer-Regional-Bytes", "InterZone-In", "GB", "0.01", "Data Transfer")
S3_STORE = _plain("AmazonS3", _S3, "TimedStorage-ByteHrs", "StandardStorage", "GB-Mo", "0.023", "Storage", digits=6)
S3_PUT = _plain("AmazonS3", _S3, "Requests-Tier1", "PutObject", "Requests", "0.000005", "API Request", digits=0)
S3_GET = _plain("AmazonS3", _S3, "Requests-Tier2", "GetObject", "Requests", "0.0000004", "API Request", digits=0)
TRAINING = _plain(
    "AmazonSageMaker", _SM, "USE1-Train:ml.p4d.24xlarge", "RunInstance", "Hrs", "25.2512", "ML Instance", kind="ml.p4d.24xlarge"
)
ENDPOINT = _plain(
    "AmazonSageMaker", _SM, "USE1-Host:ml.g5.2xlarge", "RunInstance", "Hrs", "1.515", "ML Instance", kind="ml.g5.2xlarge", hourly=True
)
NOTEBOOK = _plain(
    "AmazonSageMaker", _SM, "USE1-Notebk:ml.t3.xlarge", "RunInstance", "Hrs", "0.2", "ML Instance", kind="ml.t3.xlarge", hourly=True
)
EKS = _plain(
    "AmazonEKS",
    "Amazon Elastic Kubernetes Service",
    "USE1-AmazonEKS-Hours:perCluster",
    "CreateOperation",
    "Hrs",
    "0.1",
    "Compute",
    hourly=True,
)
RDS = _plain(
    "AmazonRDS",
    "Amazon Relational Database Service",
    "InstanceUsage:db.r6g.xl",
    "CreateDBInstance:0014",
    "Hrs",
    "0.45",
    "Database Instance",
    kind="db.r6g.xlarge",
    hourly=True,
    factor=8,
)
RDS_DISK = _plain(
    "AmazonRDS",
    "Amazon Relational Database Service",
    "RDS:GP3-Storage",
    "CreateDBInstance:0014",
    "GB-Mo",
    "0.115",
    "Database Storage",
    digits=6,
)
LOGS = _plain("AmazonCloudWatch", "AmazonCloudWatch", "USE1-DataProcessing-Bytes", "PutLogEvents", "GB", "0.5", "Data Payload")
METRICS = _plain(
    "AmazonCloudWatch", "AmazonCloudWatch", "USE1-CW:MetricMonitorUsage", "MetricStorage", "Metrics", "0.3", "Metric", digits=6
)

NOVA_KINDS = {"input-tokens": "uncached", "output-tokens": "output", "cache-read-input-token-count": "cache_read"}
CLAUDE_KINDS = {
    "InputTokenCount": ("uncached", "Million Input Tokens"),
    "OutputTokenCount": ("output", "Million Response Tokens"),
    "CacheReadInputTokenCount": ("cache_read", "Million Cache Read Input Tokens"),
    "CacheWriteInputTokenCount": ("cache_write_5m", "Million Cache Write Input Tokens"),
}
CLAUDE_PRODUCT = "c8x1demo5sonnet45bedrock0"


def nova_meters(name: str, model: str) -> list[Meter]:
    """One of Amazon's own models on Bedrock: a price point per token kind, in AWS's 1K tokens."""
    price: TokenPrices = token_prices("aws", model, _PRICE_DAY)
    return [
        Meter(
            "AmazonBedrock",
            "Amazon Bedrock",
            f"USE1-{name}-{kind}",
            "InvokeModelInference",
            "1K tokens",
            price.of(of) / 1000,
            "Amazon Bedrock",
            f"${price.of(of) / 1000} per 1K {kind} for {name}",
            digits=3,
        )
        for kind, of in NOVA_KINDS.items()
    ]


def claude_meters() -> list[Meter]:
    """Claude on Bedrock, sold through AWS Marketplace: a price point per token kind, in millions."""
    price = token_prices("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", _PRICE_DAY)
    return [
        Meter(
            "AmazonBedrockFoundationModels",
            "Claude Sonnet 4.5 (Amazon Bedrock Edition)",
            f"USE1-MP:USE1_{kind}-Units",
            "Usage",
            "Units",
            price.of(of),
            "AWS Marketplace",
            f"AWS Marketplace software usage|us-east-1|{text} Regional",
            product_code=CLAUDE_PRODUCT,
            seller="Anthropic, PBC",
            digits=6,
        )
        for kind, (of, text) in CLAUDE_KINDS.items()
    ]
