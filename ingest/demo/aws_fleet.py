"""What the demo company runs on AWS: groups of like resources → one `Line` per resource, that is one bill row a day each.

Amounts per day are a weekday's level at the end of the estate, in the meter's unit.

Run alone: python -c "from ingest.demo.aws_fleet import lines; print(len(lines()))"
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ingest.demo.aws_catalog import (
    ACCOUNTS,
    CLAUDE_KINDS,
    CROSS_AZ,
    EGRESS,
    EKS,
    ENDPOINT,
    G6,
    G6_SPOT,
    GP3,
    LOGS,
    M7I,
    M7I_4X,
    METRICS,
    NAT,
    NOTEBOOK,
    NOVA_KINDS,
    P4D,
    P5,
    RDS,
    RDS_DISK,
    S3_GET,
    S3_PUT,
    S3_STORE,
    TRAINING,
    Meter,
    claude_meters,
    nova_meters,
)
from ingest.demo.shape import Shape, opaque

Tags = tuple[tuple[str, str], ...]

FLAT = Shape(weekend=1.0, yearly=1.0, noise=0.0)
STEADY = Shape(weekend=1.0, yearly=1.35, noise=0.02)
OFFICE = Shape(weekend=0.45, yearly=1.3, noise=0.07)
TRAFFIC = Shape(weekend=0.8, yearly=1.6, noise=0.05)
TOKENS = Shape(weekend=0.55, yearly=2.4, noise=0.08)
GPU = Shape(weekend=0.82, yearly=1.18, noise=0.03)
# Days between the first and the last appearance of a group's late resources, and how long before the end the first comes.
_JOINING_DAYS, _FIRST_JOINS = 350, 380


@dataclass(frozen=True)
class Line:
    """One resource's use of one meter: one bill row a day. `joined_days_ago` counts back from the last day; None = always there;
    `reserved` = a reservation of its meter covers it."""

    meter: Meter
    account: str
    resource: str
    daily: float
    shape: Shape
    tags: Tags = ()
    joined_days_ago: int | None = None
    reserved: bool = False
    label: str = ""


@dataclass(frozen=True)
class Group:
    """`count` like resources; the last `joining` of them appear one after the other during the year.

    Attributes:
        resource: their id, in which `{}` becomes a part of its own for each; empty where AWS names no resource.
    """

    meter: Meter
    account: str
    count: int
    daily: float
    shape: Shape
    resource: str = ""
    tags: Tags = ()
    joining: int = 0
    reserved: bool = False

    def lines(self) -> list[Line]:
        """One line per resource."""
        return [self._line(n) for n in range(self.count)]

    def _line(self, n: int) -> Line:
        late = n - (self.count - self.joining)
        joined = None if late < 0 else _FIRST_JOINS - late * _JOINING_DAYS // self.joining
        # Meters of one bucket or database share its id; two instances of different types never do.
        owner = f"{self.account}/{self.resource}" + (f"/{self.meter.usage_type}" if self.resource.startswith("i-") else "")
        resource = self.resource.replace("{}", opaque(f"{owner}/{n}", 16 if self.resource.startswith("i-") else 17))
        label = f"{self.account}/{self.meter.usage_type}/{self.meter.operation}/{self.resource}/{n}"
        return Line(self.meter, self.account, resource, self.daily, self.shape, self.tags, joined, self.reserved, label)


def _tags(team: str, env: str, project: str) -> Tags:
    return (("user_env", env), ("user_project", project), ("user_team", team))


def _arn(service: str, account: str, resource: str) -> str:
    return f"arn:aws:{service}:us-east-1:{ACCOUNTS[account][0]}:{resource}"


_SERVING = _tags("product", "prod", "assistant")
_TRAINING = _tags("research", "prod", "foundation")
_CORE = _tags("platform", "prod", "core")
_LAKE = _tags("data", "prod", "lakehouse")
_LAKE_BUCKET = "costlake-demo-lake-{}"

_COMPUTE = (
    Group(P5, "research", 2, 22.4, GPU, "i-0{}", _TRAINING),
    Group(P5, "product", 1, 23.2, GPU, "i-0{}", _SERVING),
    Group(P4D, "platform", 2, 23.0, STEADY, "i-0{}", _tags("platform", "staging", "evals"), reserved=True),
    Group(G6, "product", 14, 21.0, TRAFFIC, "i-0{}", _SERVING, joining=8),
    Group(G6_SPOT, "data", 12, 16.0, OFFICE, "i-0{}", _tags("data", "dev", "embeddings"), joining=4),
    Group(M7I, "platform", 24, 24.0, FLAT, "i-0{}", _CORE, joining=10),
    Group(M7I, "research", 10, 11.0, OFFICE, "i-0{}"),  # untagged: somebody's workstations
    Group(M7I_4X, "data", 8, 23.5, STEADY, "i-0{}", _LAKE, joining=2),
    Group(EKS, "platform", 3, 24.0, FLAT, _arn("eks", "platform", "cluster/{}"), _CORE),
)
_STORAGE_AND_NETWORK = (
    Group(GP3, "platform", 24, 16.5, STEADY, "vol-0{}", _CORE, joining=10),
    Group(GP3, "data", 12, 33.0, STEADY, "vol-0{}"),
    Group(S3_STORE, "data", 10, 640.0, STEADY, _LAKE_BUCKET, _LAKE),
    Group(S3_PUT, "data", 10, 410_000.0, STEADY, _LAKE_BUCKET, _LAKE),
    Group(S3_GET, "data", 10, 2_600_000.0, STEADY, _LAKE_BUCKET, _LAKE),
    Group(S3_STORE, "research", 6, 900.0, STEADY, "costlake-demo-checkpoints-{}", _TRAINING),
    Group(NAT, "platform", 3, 210.0, TRAFFIC, _arn("ec2", "platform", "natgateway/nat-0{}"), _CORE),
    *(Group(EGRESS, account, 1, 320.0, TRAFFIC) for account in ACCOUNTS),
    *(Group(CROSS_AZ, account, 1, 900.0, TRAFFIC) for account in ACCOUNTS),
)
_MACHINE_LEARNING = (
    Group(TRAINING, "research", 3, 10.5, OFFICE, _arn("sagemaker", "research", "training-job/nightly-{}"), _TRAINING),
    Group(ENDPOINT, "product", 4, 22.0, TRAFFIC, _arn("sagemaker", "product", "endpoint/rank-{}"), _SERVING),
    Group(
        NOTEBOOK, "research", 4, 7.0, OFFICE, _arn("sagemaker", "research", "notebook-instance/nb-{}"), _tags("research", "dev", "sandbox")
    ),
)
_DATABASES_AND_MONITORING = (
    Group(RDS, "platform", 2, 24.0, FLAT, _arn("rds", "platform", "db:core-{}"), _CORE),
    Group(RDS, "platform", 2, 24.0, OFFICE, _arn("rds", "platform", "db:reporting-{}"), _CORE, reserved=True),
    Group(RDS_DISK, "platform", 2, 40.0, STEADY, _arn("rds", "platform", "db:core-{}"), _CORE),
    *(Group(LOGS, account, 1, 34.0, TRAFFIC, _arn("logs", account, "log-group:app")) for account in ACCOUNTS),
    *(Group(METRICS, account, 1, 42.0, STEADY) for account in ACCOUNTS),
)
# Tokens of each kind per uncached input token.
_TOKEN_MIX = {"uncached": 1.0, "output": 0.22, "cache_read": 0.6, "cache_write_5m": 0.08}


@cache
def lines() -> tuple[Line, ...]:
    """Every resource of the demo company, in bill order."""
    groups = (*_COMPUTE, *_STORAGE_AND_NETWORK, *_MACHINE_LEARNING, *_bedrock(), *_DATABASES_AND_MONITORING)
    return tuple(line for group in groups for line in group.lines())


def _bedrock() -> list[Group]:
    """Token meters: 1K tokens a day for Amazon's own models, millions a day for the marketplace ones."""
    groups: list[Group] = []
    for account, pro, lite, claude in (("product", 52_000.0, 210_000.0, 46.0), ("data", 21_000.0, 90_000.0, 14.0)):
        tags = _tags(account, "prod", "assistant" if account == "product" else "labelling")
        profile = _arn("bedrock", account, "application-inference-profile/{}")
        for name, model, daily in (("NovaPro", "amazon.nova-pro-v1:0", pro), ("NovaLite", "amazon.nova-lite-v1:0", lite)):
            for meter, of in zip(nova_meters(name, model), NOVA_KINDS.values(), strict=True):
                groups.append(Group(meter, account, 1, daily * _TOKEN_MIX[of], TOKENS, profile, tags))
        for meter, (of, _) in zip(claude_meters(), CLAUDE_KINDS.values(), strict=True):
            groups.append(Group(meter, account, 1, claude * _TOKEN_MIX[of], TOKENS, "", tags if account == "product" else ()))
    return groups
