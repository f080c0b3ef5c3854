"""The Dockerfiles can be built from what the checkout has, with pinned packages, and run without root."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

from costlake.settings import PROJECT_ROOT

IMAGES = {"Dockerfile": PROJECT_ROOT, "deploy/superset/Dockerfile": PROJECT_ROOT / "deploy" / "superset"}


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", (PROJECT_ROOT / dockerfile).read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def copied(dockerfile: str) -> list[str]:
    found = []
    for word, rest in instructions(dockerfile):
        parts = rest.split()
        if word == "COPY" and not parts[0].startswith("--from"):
            found += [part for part in parts if not part.startswith("--")][:-1]
    return found


@pytest.mark.parametrize("dockerfile", IMAGES)
def test_everything_that_is_copied_is_there(dockerfile: str) -> None:
    sources = copied(dockerfile)
    assert sources
    missing = [source for source in sources if not (IMAGES[dockerfile] / source).exists()]
    assert missing == []


@pytest.mark.parametrize("dockerfile", IMAGES)
def test_no_process_runs_as_root(dockerfile: str) -> None:
    users = [rest for word, rest in instructions(dockerfile) if word == "USER"]
    assert users
    assert users[-1] not in ("root", "0")


@pytest.mark.parametrize("dockerfile", IMAGES)
def test_every_base_is_an_exact_version_and_can_be_pinned_by_digest(dockerfile: str) -> None:
    arguments = dict(rest.split("=", 1) for word, rest in instructions(dockerfile) if word == "ARG")
    stages = {rest.split(" AS ")[1] for word, rest in instructions(dockerfile) if word == "FROM" and " AS " in rest}
    for rest in [rest.split(" AS ")[0] for word, rest in instructions(dockerfile) if word == "FROM"]:
        name = rest.strip("${}")
        assert rest in stages or re.search(r":\d+\.\d+\.\d+", arguments[name]), rest


@pytest.mark.parametrize("dockerfile", IMAGES)
def test_no_package_comes_in_without_its_hash(dockerfile: str) -> None:
    installs = [rest for word, rest in instructions(dockerfile) if word == "RUN" and "pip install" in rest]
    assert installs
    for rest in installs:
        assert "--no-deps" in rest
        assert "--require-hashes" in rest or "--no-build-isolation" in rest, rest


@pytest.mark.parametrize("path", ["deploy/requirements-image.txt", "deploy/superset/requirements.txt", "requirements.lock"])
def test_every_requirement_is_pinned_and_hashed_and_names_no_index(path: str) -> None:
    text = (PROJECT_ROOT / path).read_text(encoding="utf-8")
    requirements = [block for block in re.split(r"\n(?=[a-zA-Z])", text) if not block.startswith(("#", "-"))]
    assert requirements
    for block in requirements:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,_-]+\])?==\S+", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]
    assert not re.search(r"--(extra-)?index-url|https?://\S+/simple", text)


def test_the_image_holds_all_packages_and_what_they_read_beside_them() -> None:
    packages = {path.parent.name for path in PROJECT_ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages | {"dbt", "dags"} <= set(copied("Dockerfile"))


def test_no_state_or_secret_can_slip_into_a_layer() -> None:
    rules = [line for line in (PROJECT_ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    for path in ("lake/bronze", "demo/aws", ".airflow/jwt_secret", ".git/config", ".venv/bin", "config/accounts.yml", "deploy/.env"):
        assert is_ignored(path, rules), path
    for source in copied("Dockerfile"):
        assert not is_ignored(source, rules), source


def is_ignored(path: str, rules: list[str]) -> bool:
    """The last rule that matches the path or a folder above it decides, as Docker has it."""
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        if any(fnmatch.fnmatch(str(part), pattern) for part in [Path(path), *Path(path).parents][:-1]):
            ignored = not rule.startswith("!")
    return ignored


def test_the_image_says_when_it_is_of_no_use() -> None:
    assert [word for word, _ in instructions("Dockerfile")].count("HEALTHCHECK") == 1
