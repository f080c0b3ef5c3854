"""The examples for running the collector name options that there are, and no secret."""

from __future__ import annotations

import re

import typer.main
import yaml

from costlake.cli_telemetry import telemetry_app
from costlake.settings import PROJECT_ROOT, Settings

FOLDER = PROJECT_ROOT / "deploy" / "gpu-collector"


def _options() -> set[str]:
    command = typer.main.get_command(telemetry_app).commands["collect"]  # type: ignore[attr-defined]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_the_daemonset_starts_the_collector_with_options_that_exist() -> None:
    pod = yaml.safe_load((FOLDER / "daemonset.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["costlake", "telemetry", "collect"]
    assert {argument.split("=")[0] for argument in container["args"]} <= _options()
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    settings = {each["name"].removeprefix("COSTLAKE_").lower(): each.get("value") for each in container["env"]}
    names = {name for name in settings if name.startswith("kafka_")}
    assert names <= set(Settings.model_fields)
    Settings.load(**{name: settings[name] for name in names})
    assert "KAFKA_PASSWORD" not in settings


def test_the_unit_starts_the_collector_with_options_that_exist() -> None:
    text = (FOLDER / "costlake-collector.service").read_text()
    command = re.search(r"^ExecStart=(.+)$", text, re.MULTILINE)
    assert command is not None
    words = command[1].split()
    assert words[1:3] == ["telemetry", "collect"]
    assert {word for word in words if word.startswith("--")} <= _options()
    assert "RestartPreventExitStatus=1" in text, "a host without GPU would start for ever"
