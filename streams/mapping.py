"""How an exporter or a file of samples names what the message has: mappings as data, one YAML file per exporter in `streams/mappings/`.

Data flow: `streams/mappings/<name>.yml`, or a file of the user's → `Mapping` → `streams.exporters`, `streams.samplefiles`.

A metric's value times `factor` is the field's value in the message's unit. If several metrics of the mapping give the same field, the
first one that is there counts; with `add: true` they are summed. Two fields exist here only: `memory_free_bytes` and
`memory_reserved_bytes`, which with the used bytes make the total where a source does not give it.
Run alone: python -c "from streams.mapping import load_mapping; print(load_mapping('tpu'))"
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from costlake.errors import ConfigError

_BUILT_IN = Path(__file__).parent / "mappings"
PARTS = ("memory_free_bytes", "memory_reserved_bytes")
FIELDS = frozenset(
    "gpu_utilization_percent memory_utilization_percent sm_active_ratio tensor_active_ratio gr_engine_active_ratio dram_active_ratio "
    "memory_used_bytes memory_total_bytes power_watts power_limit_watts energy_joules temperature_celsius sm_clock_mhz memory_clock_mhz "
    "throttle_reasons xid".split()
) | frozenset(PARTS)

Exact = Annotated[Decimal, BeforeValidator(lambda value: Decimal(str(value)))]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Strict):
    """What one metric means.

    Attributes:
        field: of the message (`FIELDS`).
        factor: value × factor is in the message's unit.
        labels: only samples with these labels.
        add: samples of the same accelerator are summed.
    """

    field: str
    factor: Exact = Decimal(1)
    labels: dict[str, str] = Field(default_factory=dict)
    add: bool = False

    @model_validator(mode="after")
    def _is_a_field(self) -> Metric:
        if self.field not in FIELDS:
            raise ValueError(f"{self.field!r} is no field of the message; one of {sorted(FIELDS)}")
        return self


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Labels = tuple[str, ...]
Metrics = Annotated[tuple[Metric, ...], BeforeValidator(_listed)]


class Mapping(_Strict):
    """One exporter's, or one file's, names. Where several labels are given, the first one that is there and not empty counts.

    Attributes:
        source: the message's `source`.
        vendor, accelerator_kind: of all accelerators it names.
        uuid: ways to name an accelerator; each is labels whose values are joined by `/`.
        partition: labels that tell apart the partitions of one UUID; "0" is the accelerator itself.
        index, model, pci_bus_id, host, driver_version, resource_id, mig_instance, mig_profile, job_id: labels.
        constants: labels of every sample, where a source leaves something out (a file of one GPU that does not name it).
        metrics: metric name → what it means.
        time: of files only: the column that holds the end of the sample's interval; `time_unit`; `time_origin`: what seconds are counted
            from (UTC).
    """

    source: Literal["dcgm", "prometheus", "file"]
    vendor: str
    accelerator_kind: str
    uuid: tuple[Labels, ...] = Field(min_length=1)
    partition: Labels = ()
    index: Labels = ()
    model: Labels = ()
    pci_bus_id: Labels = ()
    host: Labels = ()
    driver_version: Labels = ()
    resource_id: Labels = ()
    mig_instance: Labels = ()
    mig_profile: Labels = ()
    job_id: Labels = ()
    constants: dict[str, str] = Field(default_factory=dict)
    time: str | None = None
    time_unit: Literal["iso", "s", "ms"] = "iso"
    time_origin: dt.datetime = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    metrics: dict[str, Metrics] = Field(min_length=1)


def built_in() -> list[str]:
    """Names of the exporters that are known without a file of the user's."""
    return sorted(path.stem for path in _BUILT_IN.glob("*.yml"))


def load_mapping(name: str | Path) -> Mapping:
    """A built-in mapping by its name, or the user's by the path of its YAML file. ConfigError names file and key."""
    path = _BUILT_IN / f"{name}.yml" if str(name) in built_in() else Path(name)
    try:
        return Mapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise _wrong(path, str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _wrong(path, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"the exporter's mapping cannot be used ({what})",
        where=str(path),
        expected=f"one of {built_in()}, or a YAML file like those in streams/mappings/",
        next_step="compare the file with streams/mapping.py, which names every key",
    )
