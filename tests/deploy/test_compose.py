"""The stack is what we say it is, read from its files: no engine runs here, so a mistake must show in parsing.

`docker compose config` checks the file as well where the client has the plugin; which of the two was used is printed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from costlake.settings import PROJECT_ROOT, Settings

VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(:\?|:-)?([^}]*)\}")
SECRET_WORDS = ("PASSWORD", "SECRET", "KEY", "TOKEN", "SQL_ALCHEMY_CONN", "ROOT_USER")
ONE_SHOT = {"airflow-init", "kafka-init", "minio-init", "superset-init"}


class Healthcheck(BaseModel):
    model_config = ConfigDict(extra="forbid")

    test: list[str] = Field(default_factory=list)
    disable: bool = False
    interval: str | None = None
    timeout: str | None = None
    retries: int | None = None
    start_period: str | None = None


class Limits(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cpus: str
    memory: str


class Service(BaseModel):
    """The keys that we use; any other is a typing error until somebody adds it here."""

    model_config = ConfigDict(extra="forbid")

    image: str
    build: str | None = None
    restart: str
    init: bool = False
    stop_grace_period: str | None = None
    command: list[str] | None = None
    entrypoint: list[str] | None = None
    environment: dict[str, str | int] = Field(default_factory=dict)
    ports: list[str] = Field(default_factory=list)
    volumes: list[str] = Field(default_factory=list)
    depends_on: dict[str, dict[str, str]] = Field(default_factory=dict)
    healthcheck: Healthcheck
    deploy: dict[str, dict[str, Limits]]
    logging: dict[str, Any] = Field(default_factory=dict)


@pytest.fixture(scope="module")
def text() -> str:
    return (PROJECT_ROOT / "docker-compose.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def document(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@pytest.fixture(scope="module")
def services(document: dict[str, Any]) -> dict[str, Service]:
    return {name: Service.model_validate(body) for name, body in document["services"].items()}


def test_the_stack_is_complete(services: dict[str, Service]) -> None:
    assert set(services) == ONE_SHOT | {
        "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "postgres", "kafka",
        "telemetry-consumer", "minio", "superset",
    }  # fmt: skip


def test_compose_itself_accepts_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client = shutil.which("docker")
    has_plugin = client is not None and subprocess.run([client, "compose", "version"], capture_output=True, check=False).returncode == 0
    with capsys.disabled():
        print(f"\n[compose checked by {'docker compose config' if has_plugin else 'our own parser: no docker compose here'}]")
    if not has_plugin:
        return
    env = tmp_path / "env"
    env.write_text("".join(f"{name}=x\n" for name in declared_variables()), encoding="utf-8")
    checked = subprocess.run(
        [str(client), "compose", "--env-file", str(env), "config", "--quiet"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_no_image_floats(services: dict[str, Service]) -> None:
    for name, service in services.items():
        repository, _, tag = service.image.rpartition(":")
        assert repository, f"{name}: {service.image} has no tag"
        assert re.search(r"\d+\.\d+|RELEASE\.\d{4}-\d{2}-\d{2}T", tag), f"{name}: {service.image} is not an exact version"


def test_every_service_is_watched_limited_and_comes_back(services: dict[str, Service]) -> None:
    for name, service in services.items():
        limits = service.deploy["resources"]["limits"]
        assert float(limits.cpus) > 0, name
        assert re.fullmatch(r"\d+[MG]", limits.memory), name
        if name in ONE_SHOT:
            assert service.healthcheck.disable, name
            assert service.restart == "no", name
        else:
            assert service.healthcheck.test[0] in ("CMD", "CMD-SHELL"), name
            assert service.healthcheck.interval, name
            assert service.restart == "unless-stopped", name


def test_nobody_waits_for_a_service_or_state_that_never_comes(services: dict[str, Service]) -> None:
    for name, service in services.items():
        for other, condition in service.depends_on.items():
            wanted = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert condition == {"condition": wanted}, f"{name} waits for {other}"
            assert other in services, f"{name} waits for {other}"


def test_every_volume_and_file_that_is_mounted_exists(services: dict[str, Service], document: dict[str, Any]) -> None:
    used = set()
    for name, service in services.items():
        for mount in service.volumes:
            source = VARIABLE.sub("<variable>", mount).split(":")[0]
            if source.startswith("./"):
                assert (PROJECT_ROOT / source).exists() or source == "./config", f"{name}: {source}"
                assert mount.endswith(":ro"), f"{name} could write to the checkout: {mount}"
            elif source != "<variable>":
                used.add(source)
        if service.build:
            assert (PROJECT_ROOT / service.build / "Dockerfile").is_file(), name
    assert used == set(document["volumes"])


def test_no_port_is_open_to_the_network(services: dict[str, Service]) -> None:
    published = {name: service.ports for name, service in services.items() if service.ports}
    assert set(published) == {"airflow-api-server", "minio", "superset"}
    for name, ports in published.items():
        assert all(port.startswith("127.0.0.1:") for port in ports), name


def test_no_password_stands_in_the_file_or_has_a_default(services: dict[str, Service]) -> None:
    for name, service in services.items():
        for variable, value in service.environment.items():
            if any(word in variable for word in SECRET_WORDS) and not variable.endswith("PASSWORDS_FILE"):
                assert VARIABLE.search(str(value)), f"{name}: {variable} is written out"
                assert all(mark == ":?" for _, mark, _ in VARIABLE.findall(str(value))), f"{name}: {variable} has a default"


def declared_variables() -> set[str]:
    lines = (PROJECT_ROOT / "deploy" / ".env.example").read_text(encoding="utf-8").splitlines()
    return {line.split("=")[0] for line in lines if line and not line.startswith("#")}


def test_the_example_names_every_required_variable_and_gives_no_value(text: str) -> None:
    required = {name for name, mark, _ in VARIABLE.findall(text) if mark == ":?"}
    assert required == declared_variables()
    example = (PROJECT_ROOT / "deploy" / ".env.example").read_text(encoding="utf-8")
    assert not re.search(r"^[A-Z_]+=.+$", example, re.MULTILINE)


def test_every_costlake_variable_is_one_that_settings_reads(services: dict[str, Service]) -> None:
    dockerfile = (PROJECT_ROOT / "Dockerfile").read_text(encoding="utf-8")
    given = set(re.findall(r"\b(COSTLAKE_[A-Z_]+)=", dockerfile)) | {v for s in services.values() for v in s.environment}
    read = {f"COSTLAKE_{field.upper()}" for field in Settings.model_fields}
    assert {name for name in given if name.startswith("COSTLAKE_")} <= read
    assert {"COSTLAKE_LAKE", "COSTLAKE_CONFIG_DIR", "COSTLAKE_HOME"} <= given


def test_every_airflow_variable_is_an_option_of_this_airflow(services: dict[str, Service]) -> None:
    spec = importlib_resource("config_templates/config.yml")
    options = {section: set(body["options"]) for section, body in spec.items() if body.get("options")}
    for service in services.values():
        for variable in service.environment:
            if variable.startswith("AIRFLOW__"):
                section, option = variable.removeprefix("AIRFLOW__").lower().split("__")
                assert option in options[section], variable


def importlib_resource(relative: str) -> dict[str, Any]:
    """A YAML file of the installed Airflow, without importing it."""
    from importlib.util import find_spec

    found = find_spec("airflow")
    assert found is not None
    assert found.submodule_search_locations is not None
    for folder in found.submodule_search_locations:
        path = Path(folder) / relative
        if path.is_file():
            loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
            return loaded
    raise AssertionError(f"airflow has no {relative}")


def test_airflow_processes_share_one_image_one_key_and_one_lake(services: dict[str, Service]) -> None:
    airflow = [service for name, service in services.items() if name.startswith("airflow-")]
    assert len(airflow) == 5
    for key in ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"):
        assert len({service.environment[key] for service in airflow}) == 1
    assert len({(service.image, tuple(service.volumes)) for service in airflow}) == 1


def test_the_bi_tool_can_read_the_serving_file_and_nothing_else(services: dict[str, Service]) -> None:
    serving = Settings.load(home=Path("/opt/costlake"), lake=Path("/lake")).serving
    assert services["superset"].volumes == [f"serving:{serving.parent}:ro"]
    connect = (PROJECT_ROOT / "deploy" / "superset" / "initialise.sh").read_text(encoding="utf-8")
    assert f"duckdb:///{serving}?access_mode=read_only" in connect
    assert f"serving:{serving.parent}" in services["airflow-scheduler"].volumes


def test_the_bi_tool_opens_files_with_the_duckdb_that_wrote_them() -> None:
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
    theirs = (PROJECT_ROOT / "deploy" / "superset" / "requirements.txt").read_text(encoding="utf-8")
    for name in ("duckdb", "duckdb-engine"):
        assert f"\n{name}=={pinned[name]} " in theirs
