"""The only reader of the environment (beside credentials.py): one frozen `Settings`, made at the edge (CLI, DAG, test) and passed down.

Variables start with COSTLAKE_ (COSTLAKE_HOME, COSTLAKE_LAKE, COSTLAKE_CONFIG_DIR, …).
Run alone: python -c "from costlake.settings import Settings; print(Settings.load())"
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Where things lie and how much of the machine may be used.

    Attributes:
        home: the project folder; every relative default hangs below it.
        lake: root of the lake (landing, bronze, ops, focus, marts, insights, serving).
        tables: where the Delta tables lie, when not in the lake: another folder, s3://bucket/prefix or az://account/container/prefix.
        tables_credential: reference to what opens that store (costlake/credentials.py); None takes the SDK's default chain.
        config_dir: the folder that FinOps people edit (accounts.yml, …).
        dbt_dir: the dbt project.
        threads: DuckDB and dbt threads.
        memory_limit: DuckDB's memory limit, in its own notation; it spills to disk beyond.
        shrink_tolerance_percent: a redelivery with fewer rows or less gross cost than this below the active one is refused.
        unpack_limit_bytes: a gzip or zip file that unpacks to more bytes is refused.
        unpack_limit_ratio: so is one that unpacks to more than this multiple of its own size (beyond 64 MiB).
        kafka_bootstrap: brokers to ask first, host:port, separated by commas.
        kafka_topic: topic of the GPU telemetry.
        kafka_group: consumer group that shares the topic's partitions.
        kafka_session_seconds: a consumer of which the group hears nothing for so long has lost its partitions to the others.
        kafka_security: how the brokers are reached; with SASL a user and password are sent, so only over TLS.
        kafka_sasl_mechanism: how they are shown.
        kafka_credential: reference to USERNAME and PASSWORD (costlake/credentials.py).
        kafka_ca_file: certificates that the brokers' are checked against; None takes the system's.
    """

    model_config = SettingsConfigDict(env_prefix="COSTLAKE_", frozen=True, extra="ignore")

    home: Path = PROJECT_ROOT
    lake: Path = Path()
    tables: str = ""
    tables_credential: str | None = None
    config_dir: Path = Path()
    dbt_dir: Path = PROJECT_ROOT / "dbt"
    threads: int = Field(default=2, ge=1)
    memory_limit: str = "2GB"
    shrink_tolerance_percent: int = Field(default=10, ge=0, le=100)
    unpack_limit_bytes: int = Field(default=64 << 30, ge=1)
    unpack_limit_ratio: int = Field(default=250, ge=1)
    cosmos: bool = False
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_topic: str = "gpu-telemetry"
    kafka_group: str = "costlake"
    kafka_session_seconds: int = Field(default=15, ge=1)
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_credential: str | None = None
    kafka_ca_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, values: dict[str, object]) -> dict[str, object]:
        home = Path(str(values.get("home") or PROJECT_ROOT)).resolve()
        lake = Path(str(values.get("lake") or home / "lake"))
        config_dir = Path(str(values.get("config_dir") or home / "config"))
        tables = str(values.get("tables") or lake.resolve())
        places = {"home": home, "lake": lake.resolve(), "config_dir": config_dir.resolve(), "tables": tables}
        return {**values, **places, "tables_credential": values.get("tables_credential") or None}

    @classmethod
    def load(cls, **overrides: object) -> Settings:
        """Read the environment; keyword arguments win over it."""
        return cls(**overrides)  # type: ignore[arg-type]

    @property
    def landing(self) -> Path:
        """Untouched provider bytes, by sha256, and the manifests of the deliveries."""
        return self.lake / "landing"

    @property
    def warehouse(self) -> Path:
        """dbt's working DuckDB file; nobody but dbt and publish opens it."""
        return self.lake / "warehouse.duckdb"

    @property
    def serving(self) -> Path:
        """The DuckDB file for BI tools, replaced whole by publish."""
        return self.lake / "serving" / "costlake.duckdb"

    @property
    def reports(self) -> Path:
        """Finance reports and the quality page."""
        return self.lake / "reports"
