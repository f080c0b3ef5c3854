"""The simulated fleet: the same for the same seed, whole in its physics, and as unpleasant as real hosts are."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from costlake.cli import app
from costlake.demo_telemetry import demo_fleet, demo_telemetry
from costlake.errors import ConfigError
from ingest.demo.gpu_hosts import hours_on
from streams.events import decode, encode
from streams.fleet import EPOCH, Load, SimulatedHost, build_fleet, gpu_count
from streams.simulator import Fate, arrivals, fate, host_message, series, ticks

NOON = dt.datetime(2026, 10, 5, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
FLEET = build_fleet(7, 48)


def of_role(role: str) -> SimulatedHost:
    return next(host for host in FLEET if host.role == role)


def test_a_fleet_has_exactly_the_gpus_asked_for_and_all_roles() -> None:
    for size in (1, 10, 48, 161, 1_000, 10_000):
        fleet = build_fleet(3, size)
        assert gpu_count(fleet) == size
        assert len({gpu.uuid for host in fleet for gpu in host.accelerators}) == size
        assert len({host.resource_id for host in fleet}) == len(fleet)
    assert {host.role for host in FLEET} == {"training", "inference", "idle", "mig", "failing", "timesliced", "warm"}
    for wrong in (0, -1, 10**9):
        with pytest.raises(ConfigError):
            build_fleet(3, wrong)


def test_the_same_seed_and_instant_give_the_same_bytes_in_any_order() -> None:
    forwards = [encode(message) for tick in ticks(FLEET, NOON, 1.0, 5) for message in tick]
    again = build_fleet(7, 48)
    backwards = [[encode(message) for message in arrivals(again, NOON + n * dt.timedelta(seconds=1), 1.0)] for n in reversed(range(5))]
    assert forwards == [value for tick in reversed(backwards) for value in tick]
    assert forwards != [encode(message) for tick in ticks(build_fleet(8, 48), NOON, 1.0, 5) for message in tick]


loads = st.builds(
    Load,
    st.floats(0, 1),
    swing=st.floats(0, 0.4),
    peak_second=st.floats(0, 86_400),
    cycle=st.none() | st.floats(7_200, 200_000),
    working=st.floats(600, 7_200),
    wobble=st.floats(0, 0.05),
    offset=st.floats(0, 200_000),
)


@given(loads, st.floats(1e6, 6e7), st.integers(2, 60))
@settings(max_examples=60)
def test_the_energy_of_parts_is_the_energy_of_the_whole(load: Load, start: float, parts: int) -> None:
    """The integral against a sum over small steps, of which each is the integral's difference."""
    edges = [start + 3_600 * n / parts for n in range(parts + 1)]
    steps = [load.integral(b) - load.integral(a) for a, b in itertools.pairwise(edges)]
    assert sum(steps) == pytest.approx(load.integral(edges[-1]) - load.integral(start), abs=1e-5)
    most = load.level + load.swing + load.wobble
    assert all(step + load.swing * 3_600 / parts + load.wobble * 32 >= -1e-5 for step in steps)
    assert all(step <= most * 3_600 / parts + load.wobble * 32 + 1e-5 for step in steps)


@pytest.mark.parametrize("role", ["training", "inference", "idle", "warm", "mig", "timesliced"])
def test_the_counter_is_the_integral_of_the_power(role: str) -> None:
    messages = list(series([of_role(role)], NOON, NOON + 6 * HOUR, 600))
    for before, after in itertools.pairwise(messages):
        for first, second in zip(before.gpus, after.gpus, strict=True):
            assert second.energy_joules is not None
            assert first.energy_joules is not None
            assert second.power_watts is not None
            assert abs(second.energy_joules - first.energy_joules - second.power_watts * 600) < Decimal("0.4"), "rounding of watts only"


def test_a_failing_host_resets_its_counter_and_reports_xids_within_two_days() -> None:
    messages = list(series([of_role("failing")], NOON, NOON + 48 * HOUR, 3_600))
    falls = sum((b.gpus[0].energy_joules or 0) < (a.gpus[0].energy_joules or 0) for a, b in itertools.pairwise(messages))
    assert 4 <= falls <= 10
    assert any(gpu.xid for message in messages for gpu in message.gpus)
    assert messages[0].interval_start != NOON, "its clock is wrong"


def test_failing_hosts_lose_double_and_delay_messages_and_no_other_host_does() -> None:
    start, seconds, count = NOON, 30.0, 1_000
    fleet = [host for host in FLEET if host.role in ("failing", "idle")]
    came: Counter[tuple[str, str]] = Counter()
    order: dict[str, list[dt.datetime]] = {}
    for tick in ticks(fleet, start, seconds, count):
        for message in tick:
            came[message.host, message.event_id] += 1
            order.setdefault(message.host, []).append(message.interval_start)
    for host in fleet:
        of_host = {key: number for key, number in came.items() if key[0] == host.host}
        fates = [fate(host, start + n * dt.timedelta(seconds=seconds), seconds) for n in range(count)]
        if host.role != "failing":
            assert set(fates) == {Fate()}
            assert len(of_host) == count
            assert order[host.host] == sorted(order[host.host])
        else:
            assert any(each.missing for each in fates)
            assert max(of_host.values()) == 2
            assert order[host.host] != sorted(order[host.host]), "nothing came late"
            expected = sum(not each.missing for each in fates) - 10  # the edges of the time looked at
            assert expected <= len(of_host) <= expected + 20


def test_what_runs_where_can_be_told_from_the_messages() -> None:
    def gpu(role: str, at: dt.datetime = NOON) -> list:
        return list(host_message(of_role(role), at, 60.0).gpus)

    assert all(each.processes == () and each.memory_used_bytes == 0 and each.gr_engine_active_ratio == 0 for each in gpu("idle"))
    warm = gpu("warm")[0]
    assert (warm.gr_engine_active_ratio, len(warm.processes)) == (0, 1)
    assert warm.memory_used_bytes > warm.memory_total_bytes // 2, "warm: memory is held, nothing is done"
    shared = [process for each in gpu("timesliced") for process in each.processes]
    assert {process.allocation_ratio for process in shared} == {Decimal("0.25")}
    slices, cut = gpu("mig"), of_role("mig")
    assert all(each.mig is not None and each.gpu_utilization_percent is None for each in slices)
    assert len(slices) == 4 * cut.gpus
    assert sum(each.memory_total_bytes for each in slices) == pytest.approx(cut.gpus * cut.model.memory_bytes, rel=0.01)
    day = [gpu("inference", NOON + hour * HOUR)[0].gr_engine_active_ratio for hour in range(24)]
    assert max(day) > 3 * min(day), "no day and night"
    jobs = {
        process.job_id
        for message in series([of_role("training")], NOON, NOON + 96 * HOUR, 1_800)
        for each in message.gpus
        for process in each.processes or ()
    }
    assert len(jobs) >= 2


def test_a_machine_left_hanging_works_until_then_and_holds_its_gpus_after() -> None:
    host = next(host for host in demo_fleet() if host.role == "forgotten")
    assert host.left_at is not None
    before = [host_message(host, host.left_at - n * HOUR, 600.0).gpus[0].gr_engine_active_ratio for n in range(2, 60)]
    assert max(each for each in before if each is not None) > Decimal("0.8")
    for hours in (1, 30, 71):
        gpu = host_message(host, host.left_at + hours * HOUR, 600.0).gpus[0]
        assert gpu.gr_engine_active_ratio == 0
        assert gpu.processes
        assert gpu.processes[0].namespace == "platform"


def test_messages_are_valid_and_read_again() -> None:
    for message in arrivals(FLEET, NOON, 1.0):
        assert decode(encode(message)) == message
    assert EPOCH < NOON


def test_the_demos_telemetry_lasts_exactly_the_billed_hours_of_each_machine() -> None:
    covered: Counter[str] = Counter()
    spans: dict[str, list[tuple[dt.datetime, dt.datetime]]] = {}
    for message in demo_telemetry(2):
        covered[message.resource_id or ""] += (message.interval_end - message.interval_start) // dt.timedelta(microseconds=1)
        spans.setdefault(message.resource_id or "", []).append((message.interval_start, message.interval_end))
    billed: dict[str, Decimal] = {}
    for machine, _, hours in hours_on(7, "2026-10", dt.date(2026, 10, 30)):
        billed[machine.resource_id] = billed.get(machine.resource_id, Decimal(0)) + hours
    assert {name: Decimal(count) / (3_600 * 10**6) for name, count in covered.items()} == billed
    assert len(billed) == 31
    for of_host in spans.values():
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(of_host))
    assert max(end for of_host in spans.values() for _, end in of_host) <= dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def test_ten_thousand_gpus_at_one_hertz_fit_into_one_process() -> None:
    """A quarter of them, in processor time, not time of day: the machine may be busy with others. A margin of two for slow ones."""
    fleet = build_fleet(7, 2_500)
    list(arrivals(fleet, NOON, 1.0))  # pods are made once
    begun = time.process_time()
    sizes = [len(encode(message)) for message in arrivals(fleet, NOON + dt.timedelta(seconds=1), 1.0)]
    assert len(sizes) > 300
    assert time.process_time() - begun < 0.5


def test_the_command_prints_what_the_simulator_says() -> None:
    arguments = ["telemetry", "simulate", "--gpus", "10", "--seconds", "3", "--start", "2026-10-05T12:00", "--as-fast", "--print"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    expected = [encode(message) for tick in ticks(build_fleet(7, 10), NOON, 1.0, 3) for message in tick]
    assert done.stdout.encode().splitlines() == expected
    assert CliRunner().invoke(app, ["telemetry", "simulate", "--start", "yesterday", "--print"]).exit_code == 2
    assert CliRunner().invoke(app, ["telemetry", "simulate", "--gpus", "0", "--print"]).exit_code == 1
