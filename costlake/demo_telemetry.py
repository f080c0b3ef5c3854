"""Telemetry for the demo's GPU machines: the simulator's, under the instance ids of the demo's AWS bill and for the hours it charges.

Data flow: `ingest.demo.gpu_hosts` (machines, hours billed) + `streams.simulator` → messages. It stands at the edge because those two rooms
do not know each other.
Run alone: costlake telemetry simulate --demo-days 1 --print
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING

from costlake.periods import BillingPeriod

if TYPE_CHECKING:
    from ingest.demo.gpu_hosts import GpuHost
    from streams.events import HostTelemetry
    from streams.fleet import Role, SimulatedHost

HOUR_SECONDS = 3_600.0
# Somebody left a machine hanging that many days before the estate ends.
_FORGOTTEN_DAYS = 3


def demo_fleet(seed: int = 7, last_month: str = "2026-10") -> tuple[SimulatedHost, ...]:
    """The demo company's GPU machines as a fleet to simulate: research trains, product serves (some replicas are warm and never asked),
    platform has one machine cut by MIG and one that was left hanging, data shares its GPUs in time slices and has one that nobody uses."""
    from ingest.demo.gpu_hosts import CLUSTER, gpu_hosts
    from streams.fleet import MODELS, SimulatedHost

    end = BillingPeriod.parse(last_month).end
    seen: dict[tuple[str, str], int] = {}
    fleet = []
    for number, host in enumerate(gpu_hosts()):
        place = seen[host.gpu_name, host.team] = seen.get((host.gpu_name, host.team), -1) + 1
        role = _role(host, place)
        fleet.append(
            SimulatedHost(
                number=number,
                host=host.host,
                cluster=CLUSTER,
                resource_id=host.resource_id,
                gpus=host.gpu_count,
                model=MODELS[host.gpu_name],
                role=role,
                team=host.team,
                project=host.project,
                seed=seed,
                left_at=end - dt.timedelta(days=_FORGOTTEN_DAYS) if role == "forgotten" else None,
            )
        )
    return tuple(fleet)


def _role(host: GpuHost, place: int) -> Role:
    if host.team == "research":
        return "training"
    if host.team == "platform":
        return "mig" if place == 0 else "forgotten"
    if host.team == "data":
        return "idle" if place == 0 else "timesliced"
    return "warm" if place % 5 == 4 else "inference"


def demo_telemetry(
    days: int, *, seed: int = 7, last_month: str = "2026-10", sample_seconds: float = HOUR_SECONDS
) -> Iterator[HostTelemetry]:
    """Messages of the estate's last `days` days, a message per host and `sample_seconds`.

    A machine runs from midnight for as long as the bill charges it that day (the last interval is shorter), so that the intervals of a
    machine add up to its billed hours exactly.
    """
    from ingest.demo.gpu_hosts import hours_on
    from streams.simulator import series

    fleet = {host.resource_id: host for host in demo_fleet(seed, last_month)}
    first = BillingPeriod.parse(last_month).end.date() - dt.timedelta(days=days)
    for machine, day, hours in hours_on(seed, last_month, first):
        start = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
        end = start + dt.timedelta(microseconds=int(hours * 3_600 * 10**6))
        yield from series([fleet[machine.resource_id]], start, end, sample_seconds)
