"""config/prices/gpu_hours.yml: what an hour of owned accelerators costs, from purchase, power and space, each price with its dates.

Data flow: config/prices/gpu_hours.yml → `GpuHours` → `costlake.gpu_rates` → `ops.gpu_rates`.
Rule: straight-line depreciation over a lifetime in hours of 365.25 days a year; power is watts x PUE x price per kWh; monthly amounts are a
twelfth of a year. Amounts are for `gpu_count` accelerators together, as they were bought; the rate is per accelerator and hour.
Run alone: costlake config check
"""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from costlake.config import CurrencyCode, load_exact
from costlake.money import BRONZE_SCALE, parse_money

GPU_HOURS_FILE = "gpu_hours.yml"
HOURS_PER_YEAR = Decimal("8766")
_SCALE = Decimal(1).scaleb(-BRONZE_SCALE)
_AMOUNTS = (
    "capex", "residual_value", "lifetime_years", "power_watts", "pue", "power_price_per_kwh", "space_per_month", "other_per_month",
    "hourly_rate",
)  # fmt: skip

Amount = Annotated[Decimal, Field(ge=0, lt=10**12)]


class GpuHourPrice(BaseModel):
    """The price of owned accelerators in a stretch of time.

    Attributes:
        id: our name of it; the same id may come again with later dates.
        host: the machine, by its host name or resource id in the telemetry. model: part of the accelerator's product name, for machines
            that no entry names. At least one of the two.
        gpu_count: accelerators that the amounts are for; with `host` also how many the machine has (an unseen one is still paid for).
        currency: ISO 4217, of all amounts.
        valid_from, valid_to: UTC days; the second is the first day on which it no longer holds. With a purchase it holds at most until it
            is written off (also if left out); what then remains (power, space) is the next entry.
        capex, residual_value: purchase price, and what is left of it at the end of `lifetime_years`.
        power_watts, pue, power_price_per_kwh: mean draw of the machine, the data centre's overhead on it, price of energy.
        space_per_month, other_per_month: rack, cooling contract, maintenance, network.
        hourly_rate: per accelerator, in place of all the above: a price agreed inside the company.
        owner: who answers for the machines. note: where the numbers are from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    host: str | None = Field(default=None, min_length=1)
    model: str | None = Field(default=None, min_length=2)
    gpu_count: int = Field(default=1, ge=1, le=100_000)
    currency: CurrencyCode
    valid_from: dt.date
    valid_to: dt.date | None = None
    capex: Amount | None = None
    residual_value: Amount = Decimal(0)
    lifetime_years: Annotated[Decimal, Field(gt=0, le=50)] | None = None
    power_watts: Amount | None = None
    pue: Annotated[Decimal, Field(ge=1, le=5)] = Decimal(1)
    power_price_per_kwh: Amount | None = None
    space_per_month: Amount = Decimal(0)
    other_per_month: Amount = Decimal(0)
    hourly_rate: Amount | None = None
    owner: str | None = None
    note: str | None = None

    @field_validator(*_AMOUNTS, mode="before")
    @classmethod
    def _is_exact(cls, text: object) -> object:
        # Only text keeps every digit that was written: YAML's own float has 15 to 17 of them.
        if isinstance(text, str) and parse_money(text) is None:
            raise ValueError(f"{text!r} is no plain number")
        return parse_money(text) if isinstance(text, str) else text

    @model_validator(mode="after")
    def _means_something(self) -> GpuHourPrice:
        if self.host is None and self.model is None:
            raise ValueError(f"{self.id}: give host, model or both")
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(f"{self.id}: valid_to has to be after valid_from")
        if (self.capex is None) != (self.lifetime_years is None):
            raise ValueError(f"{self.id}: capex and lifetime_years belong together")
        if (self.power_watts is None) != (self.power_price_per_kwh is None):
            raise ValueError(f"{self.id}: power_watts and power_price_per_kwh belong together")
        if self.residual_value > (self.capex or 0):
            raise ValueError(f"{self.id}: residual_value is more than capex")
        parts = self.capex is not None or self.power_watts is not None or self.space_per_month or self.other_per_month
        if (self.hourly_rate is None) == (not parts):
            raise ValueError(f"{self.id}: give either hourly_rate or what the hour is made of (capex, power, space, other)")
        if self.written_off is not None and self.valid_to is not None and self.valid_to > self.written_off:
            raise ValueError(f"{self.id}: the purchase is written off on {self.written_off}; valid_to must not be later")
        return self

    @property
    def written_off(self) -> dt.date | None:
        """The first day on which nothing of the purchase is left to spread; None without a purchase."""
        if self.lifetime_years is None:
            return None
        return self.valid_from + dt.timedelta(days=int((self.lifetime_years * Decimal("365.25")).to_integral_value()))

    @property
    def ends(self) -> dt.date | None:
        """The first day on which the price no longer holds."""
        return self.valid_to or self.written_off

    @property
    def parts_per_hour(self) -> dict[str, Decimal]:
        """What an accelerator-hour is made of, each at 18 decimals (half even); the rate is their sum."""
        with localcontext() as context:
            context.prec = 60
            if self.hourly_rate is not None:
                return {"agreed": self.hourly_rate.quantize(_SCALE, ROUND_HALF_EVEN)}
            hours = HOURS_PER_YEAR * self.gpu_count
            capex = (self.capex or Decimal(0)) - self.residual_value
            power = (self.power_watts or Decimal(0)) * self.pue / 1000 * (self.power_price_per_kwh or Decimal(0)) / self.gpu_count
            found = {
                "capex": capex / (self.lifetime_years * hours) if self.lifetime_years is not None else Decimal(0),
                "power": power,
                "space": self.space_per_month * 12 / hours,
                "other": self.other_per_month * 12 / hours,
            }
            return {name: amount.quantize(_SCALE, ROUND_HALF_EVEN) for name, amount in found.items()}


class GpuHours(BaseModel):
    """The whole file. No machine has two prices on one day: the same host, or the same model without a host, must not overlap."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpu_hours: tuple[GpuHourPrice, ...] = ()

    @model_validator(mode="after")
    def _one_price_a_day(self) -> GpuHours:
        for number, one in enumerate(self.gpu_hours):
            for other in self.gpu_hours[:number]:
                if one.id == other.id and (one.host, one.model) != (other.host, other.model):
                    raise ValueError(f"{one.id} names two different machines")
                same = one.id == other.id or (one.host == other.host and (one.host is not None or one.model == other.model))
                apart_by_model = one.host is not None and None not in (one.model, other.model) and one.model != other.model
                begins, ends = max(one.valid_from, other.valid_from), min(one.ends or dt.date.max, other.ends or dt.date.max)
                if same and not apart_by_model and begins < ends:
                    raise ValueError(f"{one.id} and {other.id} both price the same machine on {begins}")
        return self


def load_gpu_hours(config_dir: Path) -> GpuHours:
    """Read prices/gpu_hours.yml of the config folder. A missing file means no owned accelerators. Raises ConfigError with the key."""
    return load_exact(config_dir / "prices" / GPU_HOURS_FILE, GpuHours)
