"""Hourly rates of owned GPUs: exact, dated, never changed in silence once they were reported, written once."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from costlake import gpu_rates
from costlake.delta import Lake
from costlake.errors import ConfigError
from costlake.gpu_config import GPU_HOURS_FILE, GpuHours, load_gpu_hours
from costlake.periods import BillingPeriod, FixedClock
from costlake.settings import PROJECT_ROOT, Settings

CLOCK = FixedClock(dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC))
RACK = """
  - id: rack-7
    host: gpu-rack-7
    gpu_count: 8
    currency: EUR
    valid_from: 2026-01-01
    capex: 280512
    lifetime_years: 4
    power_watts: 8000
    pue: 1.25
    power_price_per_kwh: 0.20
    space_per_month: 730.50
    owner: research
"""


def configure(settings: Settings, *entries: str) -> None:
    folder = settings.config_dir / "prices"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GPU_HOURS_FILE).write_text("gpu_hours:" + "".join(entries or (" []",)), encoding="utf-8")


def agreed(rate: str, start: str = "2026-01-01", name: str = "desks", **more: str) -> str:
    lines = {"id": name, "model": "RTX 6000", "currency": "EUR", "valid_from": start, "hourly_rate": rate} | more
    return "\n  - " + "\n    ".join(f"{key}: {value}" for key, value in lines.items())


def test_an_hour_is_purchase_power_and_space_per_gpu(settings: Settings) -> None:
    configure(settings, RACK)
    (rate,) = gpu_rates.run(settings, CLOCK).written
    # 280 512 / (4 x 8766 x 8) = 1; 8 kW x 1.25 x 0.20 / 8 = 0.25; 730.50 x 12 / (8766 x 8) = 0.125
    assert (rate.capex_hourly, rate.power_hourly, rate.space_hourly, rate.other_hourly) == (1, Decimal("0.25"), Decimal("0.125"), 0)
    assert (rate.hourly_rate, rate.gpu_count, rate.owner) == (Decimal("1.375"), 8, "research")
    assert rate.valid_to == dt.date(2030, 1, 1), "written off; what remains is another entry"


def test_a_second_run_writes_no_version_and_no_file_means_no_rates(settings: Settings) -> None:
    lake = Lake(settings)
    assert gpu_rates.run(settings, CLOCK).written == ()
    assert not lake.exists("ops", "gpu_rates")
    configure(settings, RACK, agreed("0.45"))
    assert len(gpu_rates.run(settings, CLOCK).written) == 2
    version = lake.version("ops", "gpu_rates")
    assert gpu_rates.run(settings, CLOCK) == gpu_rates.GpuRatesResult((), ())
    assert lake.version("ops", "gpu_rates") == version


def test_a_reported_rate_changes_on_purpose_only_and_keeps_what_it_was(settings: Settings) -> None:
    configure(settings, agreed("0.45"))
    gpu_rates.run(settings, CLOCK)
    configure(settings, agreed("0.10"))
    held = gpu_rates.run(settings, CLOCK)
    assert (held.written, len(held.held)) == ((), 1)
    assert "--restate desks" in str(held.held[0])
    (rate,) = gpu_rates.run(settings, CLOCK, ["desks"]).written
    assert (rate.hourly_rate, rate.restated_rate, rate.revision) == (Decimal("0.10"), Decimal("0.45"), 2)
    configure(settings)
    assert len(gpu_rates.run(settings, CLOCK).held) == 1, "taking it out of the file would make reported days free"


def test_a_price_change_is_a_new_entry_and_the_old_days_stay(settings: Settings) -> None:
    configure(settings, agreed("0.45"))
    gpu_rates.run(settings, CLOCK)
    october = gpu_rates.fingerprint(list(gpu_rates.newest(Lake(settings)).values()), BillingPeriod(2026, 10))
    configure(settings, agreed("0.45", valid_to="2026-12-01"), agreed("0.30", "2026-12-01"))
    result = gpu_rates.run(settings, CLOCK)
    assert (len(result.written), result.held) == (2, ())
    rates = list(gpu_rates.newest(Lake(settings)).values())
    assert {(rate.valid_from.month, rate.hourly_rate) for rate in rates if rate.holds_in(BillingPeriod(2026, 12))} == {
        (12, Decimal("0.30"))
    }
    assert gpu_rates.fingerprint(rates, BillingPeriod(2026, 10)) != october, "its end is part of what it says"


def test_a_rate_that_has_not_begun_may_still_change(settings: Settings) -> None:
    configure(settings, agreed("0.45", "2027-01-01"))
    gpu_rates.run(settings, CLOCK)
    configure(settings, agreed("0.40", "2027-01-01"))
    assert [rate.hourly_rate for rate in gpu_rates.run(settings, CLOCK).written] == [Decimal("0.40")]


def test_a_day_that_is_over_cannot_lose_its_rate_by_an_early_end(settings: Settings) -> None:
    configure(settings, agreed("0.45"))
    gpu_rates.run(settings, CLOCK)
    configure(settings, agreed("0.45", valid_to="2026-06-01"))
    assert len(gpu_rates.run(settings, CLOCK).held) == 1


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (agreed("0.45", capex="100", lifetime_years="3"), "either hourly_rate or"),
        (agreed("1e400"), "hourly_rate"),
        (agreed("nan"), "hourly_rate"),
        (agreed("-1"), "hourly_rate"),
        (agreed("0,45"), "hourly_rate"),
        (agreed("0.45", currency="dollars"), "ISO 4217"),
        (agreed("0.45", valid_to="2026-01-01"), "after valid_from"),
        (agreed("0.45") + agreed("0.50", "2026-06-01"), "both price the same machine"),
        (agreed("0.45") + agreed("0.50", name="other"), "both price the same machine"),
        (RACK + "    valid_to: 2035-01-01\n", "written off"),
        (RACK.replace("    lifetime_years: 4\n", ""), "belong together"),
        (RACK.replace("    power_watts: 8000\n", ""), "belong together"),
        (RACK.replace("    host: gpu-rack-7\n", ""), "host, model or both"),
        (RACK + "    residual_value: 300000\n", "more than capex"),
        (RACK + "    warranty: 1\n", "warranty"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_key_and_nothing_is_written(settings: Settings, entry: str, complaint: str) -> None:
    configure(settings, entry)
    with pytest.raises(ConfigError) as caught:
        gpu_rates.run(settings, CLOCK)
    assert complaint in str(caught.value)
    assert GPU_HOURS_FILE in str(caught.value)
    assert not Lake(settings).exists("ops", "gpu_rates")


def test_an_unknown_rate_cannot_be_restated(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="no rate is called rakc"):
        gpu_rates.run(settings, CLOCK, ["rakc"])


def test_the_example_is_valid_as_it_is_and_with_its_comments_taken_off(settings: Settings) -> None:
    text = (PROJECT_ROOT / "config" / "prices" / "gpu_hours.example.yml").read_text(encoding="utf-8")
    folder = settings.config_dir / "prices"
    folder.mkdir(parents=True)
    (folder / GPU_HOURS_FILE).write_text(text, encoding="utf-8")
    assert load_gpu_hours(settings.config_dir) == GpuHours()
    head, _, example = text.partition("gpu_hours: []\n")
    (folder / GPU_HOURS_FILE).write_text(head + "\n".join(line.removeprefix("# ") for line in example.splitlines()), encoding="utf-8")
    assert [price.id for price in load_gpu_hours(settings.config_dir).gpu_hours] == ["rack-7", "workstations"]
