"""Alibaba's trace of a GPU cluster (openb, 2023) as telemetry: pods with their shares of GPUs, on the nodes that the trace lists.

Data flow: nodes and pods → pods put onto GPUs, first fit in order of time (the trace says when and how much, not where) → one message per
node for each stretch of time in which nothing on it changed. What a scheduler allocated is all there is: no utilisation, no power.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from streams.events import Gpu, GpuProcess, HostTelemetry

ORIGIN = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)


@dataclass
class Node:
    """A node: what is free on each GPU in thousandths, which pods are there, and since when."""

    name: str
    model: str
    free: list[int]
    pods: dict[str, tuple[str, dict[int, int]]] = field(default_factory=dict)
    since: int = 0

    def place(self, gpus: int, milli: int) -> dict[int, int] | None:
        fitting = [index for index, free in enumerate(self.free) if free >= milli][:gpus]
        return dict.fromkeys(fitting, milli) if len(fitting) == gpus else None

    def told(self, until: int) -> Iterator[HostTelemetry]:
        """The time since the last change."""
        if until <= self.since:
            return
        start, self.since = self.since, until
        held: list[list[GpuProcess]] = [[] for _ in self.free]
        for name, (qos, share) in self.pods.items():
            for index, milli in share.items():
                held[index].append(GpuProcess(namespace=qos, pod=name, allocation_ratio=Decimal(milli) / 1000))
        yield HostTelemetry(
            event_id=f"{self.name}-{start}",
            cluster="openb",
            host=self.name,
            source="file",
            interval_start=ORIGIN + dt.timedelta(seconds=start),
            interval_end=ORIGIN + dt.timedelta(seconds=until),
            gpus=tuple(
                Gpu(gpu_uuid=f"{self.name}/{index}", gpu_index=index, model_name=self.model, processes=tuple(processes))
                for index, processes in enumerate(held)
            ),
        )


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def messages(folder: Path) -> Iterator[HostTelemetry]:
    """Messages of all nodes that ever held a pod, in order of their end."""
    nodes = [
        Node(row["sn"], row["model"], [1000] * int(row["gpu"]))
        for row in rows(folder / "openb_node_list_all_node.csv.gz")
        if int(row["gpu"]) > 0
    ]
    pods = [row for row in rows(folder / "openb_pod_list_gpuspec33.csv.gz") if int(row["num_gpu"]) > 0 and row["scheduled_time"]]
    # At the same second, what ends makes room first.
    changes = [(int(row["deletion_time"]), 0, row) for row in pods] + [(int(float(row["scheduled_time"])), 1, row) for row in pods]
    where: dict[str, Node] = {}
    for at, begins, row in sorted(changes, key=lambda change: change[:2]):
        name = row["name"]
        if begins:
            node, share = next(
                (node, share) for node in nodes if (share := node.place(int(row["num_gpu"]), int(row["gpu_milli"]))) is not None
            )
            yield from node.told(at)
            where[name], node.pods[name] = node, (row["qos"], share)
            sign = -1
        else:
            node = where[name]
            yield from node.told(at)
            _, share = node.pods.pop(name)
            sign = 1
        for index, milli in share.items():
            node.free[index] += sign * milli
