"""What the demo company runs on AWS: price points (meters) and the resources that use them (lines).

Prices are public us-east-1 prices rounded to AWS's own decimals; token prices come from `prices`. Amounts per day are
a weekday's level at the end of the estate. Units are AWS's own (`Hrs`, `GB-Mo`, `1K tokens`, …); money is USD.

Run alone: python -c "from ingest.demo.aws_catalog import lines; print(len(lines()))"
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from ingest.demo.prices import TokenPrices, token_prices
from ingest.demo.shape import Shape

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

FLAT = Shape(weekend=1.0, yearly=1.0, noise=0.0)
STEADY = Shape(weekend=1.0, yearly=1.35, noise=0.02)
OFFICE = Shape(weekend=0.45, yearly=1.3, noise=0.07)
TRAFFIC = Shape(weekend=0.8, yearly=1.6, noise=0.05)
TOKENS = Shape(weekend=0.55, yearly=2.4, noise=0.08)
GPU = Shape(weekend=0.82, yearly=1.18, noise=0.03)


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


@dataclass(frozen=True)
class Line:
    """One resource's use of one meter: one bill row a day. `joined_days_ago` counts back from the last day; None = always there;
    `reserved` = a reservation of its meter covers it."""

    meter: Meter
    account: str
    resource: str
    daily: float
    shape: Shape
    tags: tuple[tuple[str, str], ...] = ()
    joined_days_ago: int | None = None
    reserved: bool = False
    label: str = ""


def opaque(label: str, length: int = 17) -> str:
    """A stable identifier that looks like the vendor's."""
    return hashlib.sha256(label.encode()).hexdigest()[:length]


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

_NOVA_KINDS = {"input-tokens": "uncached", "output-tokens": "output", "cache-read-input-token-count": "cache_read"}
_CLAUDE_KINDS = {
    "InputTokenCount": ("uncached", "Million Input Tokens"),
    "OutputTokenCount": ("output", "Million Response Tokens"),
    "CacheReadInputTokenCount": ("cache_read", "Million Cache Read Input Tokens"),
    "CacheWriteInputTokenCount": ("cache_write_5m", "Million Cache Write Input Tokens"),
}
CLAUDE_PRODUCT = "c8x1demo5sonnet45bedrock0"


def _nova(name: str, model: str) -> list[Meter]:
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
        for kind, of in _NOVA_KINDS.items()
    ]


def _claude_marketplace() -> list[Meter]:
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
        for kind, (of, text) in _CLAUDE_KINDS.items()
    ]


def _tags(team: str, env: str, project: str) -> tuple[tuple[str, str], ...]:
    return (("user_env", env), ("user_project", project), ("user_team", team))


def _fleet(
    meter: Meter,
    account: str,
    count: int,
    daily: float,
    shape: Shape,
    resource: str,
    tags: tuple[tuple[str, str], ...] = (),
    *,
    joining: int = 0,
    reserved: bool = False,
) -> list[Line]:
    """`count` resources of one kind; the last `joining` of them appear one after the other during the year. `{}` in `resource` becomes an id."""
    made = []
    for n in range(count):
        label = f"{account}/{meter.usage_type}/{meter.operation}/{resource}/{n}"
        late = n - (count - joining)
        joined = None if late < 0 else 380 - late * 350 // max(joining, 1)
        made.append(
            Line(meter, account, resource.replace("{}", opaque(f"{account}/{resource}/{n}")), daily, shape, tags, joined, reserved, label)
        )
    return made


@cache
def lines() -> tuple[Line, ...]:
    """Every resource of the demo company, in bill order."""
    job = "arn:aws:sagemaker:us-east-1:222233334444:training-job/nightly-{}"
    serving, training, core, lake = (
        _tags("product", "prod", "assistant"),
        _tags("research", "prod", "foundation"),
        _tags("platform", "prod", "core"),
        _tags("data", "prod", "lakehouse"),
    )
    return tuple(
        [
            *_fleet(P5, "research", 2, 22.4, GPU, "i-0{}", training),
            *_fleet(P5, "product", 1, 23.2, GPU, "i-0{}", serving),
            *_fleet(P4D, "platform", 2, 20.5, GPU, "i-0{}", _tags("platform", "staging", "evals"), reserved=True),
            *_fleet(G6, "product", 14, 21.0, TRAFFIC, "i-0{}", serving, joining=8),
            *_fleet(G6_SPOT, "data", 12, 16.0, OFFICE, "i-0{}", _tags("data", "dev", "embeddings"), joining=4),
            *_fleet(M7I, "platform", 24, 24.0, FLAT, "i-0{}", core, joining=10),
            *_fleet(M7I, "research", 10, 11.0, OFFICE, "i-0{}"),  # untagged: somebody's workstations
            *_fleet(M7I_4X, "data", 8, 23.5, STEADY, "i-0{}", lake, joining=2),
            *_fleet(GP3, "platform", 24, 16.5, STEADY, "vol-0{}", core, joining=10),
            *_fleet(GP3, "data", 12, 33.0, STEADY, "vol-0{}"),
            *_fleet(NAT, "platform", 3, 210.0, TRAFFIC, "arn:aws:ec2:us-east-1:444455556666:natgateway/nat-0{}", core),
            *[line for account in ACCOUNTS for line in _fleet(EGRESS, account, 1, 320.0, TRAFFIC, "")],
            *[line for account in ACCOUNTS for line in _fleet(CROSS_AZ, account, 1, 900.0, TRAFFIC, "")],
            *[
                line
                for meter, daily in ((S3_STORE, 640.0), (S3_PUT, 410_000.0), (S3_GET, 2_600_000.0))
                for line in _fleet(meter, "data", 10, daily, STEADY, "costlake-demo-lake-{}", lake)
            ],
            *_fleet(S3_STORE, "research", 6, 900.0, STEADY, "costlake-demo-checkpoints-{}", training),
            *_fleet(TRAINING, "research", 3, 10.5, OFFICE, job, training),
            *_fleet(ENDPOINT, "product", 4, 22.0, TRAFFIC, "arn:aws:sagemaker:us-east-1:333344445555:endpoint/rank-{}", serving),
            *_fleet(
                NOTEBOOK,
                "research",
                4,
                7.0,
                OFFICE,
                "arn:aws:sagemaker:us-east-1:222233334444:notebook-instance/nb-{}",
                _tags("research", "dev", "sandbox"),
            ),
            *_bedrock(),
            *_fleet(EKS, "platform", 3, 24.0, FLAT, "arn:aws:eks:us-east-1:444455556666:cluster/{}", core),
            *_fleet(RDS, "platform", 2, 24.0, FLAT, "arn:aws:rds:us-east-1:444455556666:db:core-{}", core),
            *_fleet(RDS, "platform", 2, 24.0, OFFICE, "arn:aws:rds:us-east-1:444455556666:db:reporting-{}", core, reserved=True),
            *_fleet(RDS_DISK, "platform", 2, 40.0, STEADY, "arn:aws:rds:us-east-1:444455556666:db:core-{}", core),
            *[
                line
                for account in ACCOUNTS
                for line in _fleet(LOGS, account, 1, 34.0, TRAFFIC, f"arn:aws:logs:us-east-1:{ACCOUNTS[account][0]}:log-group:app")
            ],
            *[line for account in ACCOUNTS for line in _fleet(METRICS, account, 1, 42.0, STEADY, "")],
        ]
    )


def _bedrock() -> list[Line]:
    """Token meters: 1K tokens a day for Amazon's own models, millions a day for the marketplace ones."""
    made: list[Line] = []
    volumes = {"uncached": 1.0, "output": 0.22, "cache_read": 0.6, "cache_write_5m": 0.08}
    for account, pro, lite, claude in (("product", 52_000.0, 210_000.0, 46.0), ("data", 21_000.0, 90_000.0, 14.0)):
        tags = _tags(account, "prod", "assistant" if account == "product" else "labelling")
        profile = f"arn:aws:bedrock:us-east-1:{ACCOUNTS[account][0]}:application-inference-profile/" + "{}"
        for name, model, daily in (("NovaPro", "amazon.nova-pro-v1:0", pro), ("NovaLite", "amazon.nova-lite-v1:0", lite)):
            for meter, of in zip(_nova(name, model), _NOVA_KINDS.values(), strict=True):
                made += _fleet(meter, account, 1, daily * volumes[of], TOKENS, profile, tags)
        for meter, (of, _) in zip(_claude_marketplace(), _CLAUDE_KINDS.values(), strict=True):
            made += _fleet(meter, account, 1, claude * volumes[of], TOKENS, "", tags if account == "product" else ())
    return made
