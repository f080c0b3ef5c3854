"""A fleet to simulate: which hosts there are, what runs on them, and how each GPU's load moves; all of it follows from a seed.

Data flow: seed and size, or a list of hosts (the demo's) → `SimulatedHost` → `streams.simulator`.

A load is a function of time with a known integral, so that the energy counter at any instant is the integral of the power, with nothing
to remember between two calls. Loads are ratios of what the GPU can do; they are measurements and may be floats.
Run alone: python -c "from streams.fleet import build_fleet; print(*build_fleet(7, 48), sep='\\n')"
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from costlake.errors import ConfigError
from streams.events import GpuProcess

Role = Literal["training", "inference", "warm", "idle", "forgotten", "mig", "timesliced", "failing"]
# Loads and counters are counted from here; nothing before it can be simulated.
EPOCH = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
_DAY = 86_400.0
_MOST_GPUS = 100_000


@dataclass(frozen=True)
class GpuModel:
    """A product: its name as the driver says it, memory in bytes, power in watts, clocks in MHz, MIG profiles of one partitioning."""

    name: str
    memory_bytes: int
    idle_watts: float
    peak_watts: float
    sm_clock_mhz: int
    memory_clock_mhz: int
    mig_profiles: tuple[str, ...] = ()


H100 = GpuModel("NVIDIA H100 80GB HBM3", 85_520_809_984, 68.0, 700.0, 1_980, 2_619, ("3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"))
A100 = GpuModel("NVIDIA A100-SXM4-40GB", 42_949_672_960, 52.0, 400.0, 1_410, 1_215, ("3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb"))
L4 = GpuModel("NVIDIA L4", 24_152_899_584, 16.0, 72.0, 2_040, 6_251)
MODELS = {model.name: model for model in (H100, A100, L4)}


def mixed(*numbers: int) -> int:
    """A number of 64 bits out of others, the same on every machine: what is random in the simulation, without a generator's state."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ number) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ state >> 29) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 32
    return state


def uniform(*numbers: int) -> float:
    """`mixed` as a float in [0, 1)."""
    return (mixed(*numbers) >> 11) / 2**53


@dataclass(frozen=True)
class Load:
    """How busy a GPU is.

    Attributes:
        level: mean while it works, 0 to 1.
        swing: amplitude of the day's rise and fall around it.
        peak_second: of the UTC day.
        cycle: seconds from the start of a job to the start of the next; None = one job for ever.
        working: seconds of a cycle in which the job runs.
        wobble: amplitude of what steps and batches do within minutes.
        offset: seconds by which cycles are shifted.
        ends: seconds after EPOCH when somebody left the job hanging, if anybody did.
    """

    level: float
    swing: float = 0.0
    peak_second: float = 0.0
    cycle: float | None = None
    working: float = 0.0
    wobble: float = 0.0
    offset: float = 0.0
    ends: float = math.inf

    def integral(self, at: float) -> float:
        """∫ load dt from EPOCH (or the start of the cycle around it) to `at` seconds after it."""
        at = min(at, self.ends)
        if self.cycle is None:
            turn = 2 * math.pi / _DAY
            tide = self.swing / turn * math.sin(turn * (at - self.peak_second))
            return self.level * at + tide + _wobble(self.wobble, 97.0, at)
        cycles, into = divmod(at + self.offset, self.cycle)
        into = min(into, self.working)
        # A whole number of wobbles in each job, so that a job's integral is its level times its time.
        period = self.working / max(1, round(self.working / 97))
        return self.level * (cycles * self.working + into) + _wobble(self.wobble, period, into)

    def job(self, at: float) -> int | None:
        """Number of the job that runs at an instant; None between two jobs."""
        if self.cycle is None:
            return 0
        cycles, into = divmod(min(at, self.ends) + self.offset, self.cycle)
        return int(cycles) if into < self.working or at >= self.ends else None


def _wobble(amplitude: float, period: float, at: float) -> float:
    turn = 2 * math.pi / period
    return amplitude / turn * (1 - math.cos(turn * at))


@dataclass(frozen=True)
class SimulatedHost:
    """A machine with GPUs and what happens on it.

    Attributes:
        number: its place in the fleet; all that is random about it follows from seed and number.
        host, cluster: names; resource_id: the machine's id on the bill.
        gpus: how many; model: of all of them.
        role: what happens there. `warm` holds memory and never works; `forgotten` worked until `left_at` and holds its GPUs since;
            `failing` is a training host with XIDs, counter resets, missing, late, doubled messages and a clock that is wrong.
        team, project: whose it is; they become namespace and the stem of job names.
        left_at: for `forgotten`.
    """

    number: int
    host: str
    cluster: str
    resource_id: str
    gpus: int
    model: GpuModel
    role: Role
    team: str
    project: str
    seed: int = 0
    left_at: dt.datetime | None = None
    accelerators: tuple[Accelerator, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.accelerators:
            # Everything that does not change is worked out once.
            object.__setattr__(self, "accelerators", tuple(_accelerator(self, index) for index in range(self.gpus)))

    @property
    def skew(self) -> dt.timedelta:
        """How far its clock is off."""
        if self.role != "failing":
            return dt.timedelta(0)
        return dt.timedelta(seconds=mixed(self.seed, self.number, 5) % 241 - 120)


@dataclass(frozen=True)
class Accelerator:
    """What stays the same about a GPU: identity, loads of its slots (one for a whole GPU, one per MIG instance or time slice).

    `reset_every` is the time between two restarts of its energy counter, `booted` when it first started (seconds after EPOCH).
    """

    uuid: str
    index: int
    pci_bus_id: str
    loads: tuple[Load, ...]
    weights: tuple[float, ...]
    held: tuple[bool, ...]
    booted: float
    reset_every: float | None
    processes: dict[tuple[int, int], GpuProcess] = field(default_factory=dict, compare=False, repr=False)  # by slot and job, once made


def _accelerator(host: SimulatedHost, index: int) -> Accelerator:
    def chance(what: int, slot: int = 0) -> float:
        return uniform(host.seed, host.number, index, what, slot)

    digest = hashlib.sha256(f"{host.seed}/{host.cluster}/{host.host}/{index}".encode()).hexdigest()
    uuid = f"GPU-{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
    slots: tuple[float, ...] = (1.0,)
    if host.role == "mig":
        slots = tuple(int(profile[0]) / 7 for profile in host.model.mig_profiles)
    elif host.role == "timesliced":
        slots = (0.25,) * 4
    # Workers of one job move together: cycles belong to the host, levels to the GPU.
    loads = tuple(_load(host, uniform(host.seed, host.number, 3), chance(1, slot), chance(2, slot)) for slot in range(len(slots)))
    held = tuple(host.role != "idle" and (len(slots) == 1 or chance(4, slot) > 0.2) for slot in range(len(slots)))
    return Accelerator(
        uuid=uuid,
        index=index,
        pci_bus_id=f"00000000:{0x10 + 0x11 * (index % 8):02X}:00.0",
        loads=loads,
        weights=slots,
        held=held,
        booted=-_DAY * 30 * chance(5),
        reset_every=3_600 * (5 + 6 * uniform(host.seed, host.number, 7)) if host.role == "failing" else None,
    )


def _load(host: SimulatedHost, common: float, own: float, other: float) -> Load:
    if host.role in ("idle", "warm"):
        return Load(0.0)
    if host.role == "inference":
        return Load(0.40 + 0.1 * own, swing=0.3 + 0.05 * other, peak_second=_DAY * (0.55 + 0.1 * common), wobble=0.04)
    if host.role in ("mig", "timesliced"):
        return Load(0.15 + 0.5 * own, swing=0.1, peak_second=_DAY * other, wobble=0.03)
    cycle = 3_600 * (6 + 34 * common)
    ends = math.inf if host.left_at is None else (host.left_at - EPOCH).total_seconds()
    return Load(0.86 + 0.06 * own, cycle=cycle, working=cycle * (0.72 + 0.25 * common), wobble=0.05, offset=cycle * common, ends=ends)


_PATTERN: tuple[Role, ...] = ("training", "inference", "idle", "mig", "failing", "training", "timesliced", "inference", "warm", "training")
_TEAMS = (("research", "foundation"), ("product", "assistant"), ("platform", "evals"), ("data", "embeddings"))


def build_fleet(seed: int, gpus: int, cluster: str = "sim") -> tuple[SimulatedHost, ...]:
    """A fleet of exactly `gpus` GPUs, of all roles. Hosts have 8 GPUs, in fleets below 160 GPUs 2, so that small ones are mixed, too.

    Raises ConfigError outside of 1 to 100,000 GPUs.
    """
    if not 1 <= gpus <= _MOST_GPUS:
        raise ConfigError(
            f"a fleet of {gpus} GPUs cannot be simulated",
            where="--gpus",
            expected=f"1 to {_MOST_GPUS}",
            next_step="choose another size, or several processes with different seeds",
        )
    size = 8 if gpus >= 160 else 2
    hosts = []
    for number in range(-(-gpus // size)):
        role = _PATTERN[number % len(_PATTERN)]
        team, project = _TEAMS[mixed(seed, number, 1) % len(_TEAMS)]
        hosts.append(
            SimulatedHost(
                number=number,
                host=f"{cluster}-gpu-{number:05d}",
                cluster=cluster,
                resource_id=f"i-0{mixed(seed, number, 2):016x}",
                gpus=min(size, gpus - number * size),
                model=A100 if role == "mig" else (H100, H100, A100)[mixed(seed, number, 4) % 3],
                role=role,
                team=team,
                project=project,
                seed=seed,
            )
        )
    return tuple(hosts)


def gpu_count(hosts: Sequence[SimulatedHost]) -> int:
    """GPUs of a fleet; MIG instances are not counted apart."""
    return sum(host.gpus for host in hosts)
