"""The GPU machines of the demo company's AWS bill, so that telemetry can be simulated that joins it by instance id and by the hour.

Data flow: the demo's resources (`aws_fleet`) and what the bill says they ran (`aws_bill.usages`) → `GpuHost`. The simulator knows nothing
of bills, the bill nothing of telemetry; the command line brings them together.
Run alone: python -c "from ingest.demo.gpu_hosts import gpu_hosts; print(*gpu_hosts(), sep='\\n')"
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from costlake.periods import BillingPeriod
from ingest.demo.aws_bill import usages
from ingest.demo.aws_catalog import Meter
from ingest.demo.aws_fleet import Line, lines
from ingest.demo.shape import last_day

# Instance type → the driver's name of its GPU.
GPU_NAMES = {
    "p5.48xlarge": "NVIDIA H100 80GB HBM3",
    "p4d.24xlarge": "NVIDIA A100-SXM4-40GB",
    "g6.xlarge": "NVIDIA L4",
}
CLUSTER = "demo"


@dataclass(frozen=True)
class GpuHost:
    """A machine with GPUs on the demo bill.

    Attributes:
        host: its name in the cluster; resource_id: EC2 instance id, as the bill has it.
        gpu_count, gpu_name: what is in it.
        team, project, environment: of its tags.
    """

    host: str
    resource_id: str
    gpu_count: int
    gpu_name: str
    team: str
    project: str
    environment: str


def gpu_hosts() -> tuple[GpuHost, ...]:
    """Every GPU machine of the demo company, in the bill's order, those included that join late in the year."""
    return tuple(_host(line) for line in lines() if _has_gpus(line.meter))


def hours_on(seed: int, last_month: str, first_day: dt.date, last: dt.date | None = None) -> Iterator[tuple[GpuHost, dt.date, Decimal]]:
    """(machine, UTC day, hours that the first delivery of the bill charges for it) from `first_day` to `last` (default: the estate's last
    day); machines that are not there yet on a day have none. Days before the estate's growth began are as the bill would have had them."""
    until = last or last_day(last_month)
    period = BillingPeriod(first_day.year, first_day.month)
    while period.start.date() <= until:
        for usage in usages(seed, period, last_month):
            if _has_gpus(usage.line.meter) and first_day <= usage.day <= until:
                yield _host(usage.line), usage.day, usage.amount
        period = period.next()


def _has_gpus(meter: Meter) -> bool:
    return meter.service == "AmazonEC2" and meter.instance_type in GPU_NAMES


def _host(line: Line) -> GpuHost:
    tags = dict(line.tags)
    return GpuHost(
        host=f"ip-{line.resource.removeprefix('i-0')[:10]}",
        resource_id=line.resource,
        gpu_count=int(dict(line.meter.attributes)["gpu"]),
        gpu_name=GPU_NAMES[line.meter.instance_type],
        team=tags["user_team"],
        project=tags["user_project"],
        environment=tags["user_env"],
    )
