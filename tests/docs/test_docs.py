"""Documentation that cannot rot: generated parts are current, links lead somewhere, and every law names tests that exist."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from costlake.settings import PROJECT_ROOT
from ingest.source import all_sources
from tests.docs import generator

LAW_ROW = re.compile(r"^\| (\d+) \| ", re.MULTILINE)
TEST_NAME = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?![a-z]+:)([^)\s]*)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

# Written so that this file does not match itself.
PRIVATE = {
    "a path of somebody's machine": re.compile(r"(?<![\w.$}*-])/(?:work|root|home|Users)/[\w.-]+|(?<![\w.$}*-])/tmp/[\w.-]"),
    "a package index": re.compile(r"(?<!emit-)index-url[ =]+\S|/simple/?(?:\s|$)", re.IGNORECASE),
    "a person's address": re.compile(r"[\w.+-]+@(?!example\.)[\w-]+\.(?:[a-z]{2,}\.)?(?:com|org|net|io|dev|de|eu|ai)\b"),
}
# Container conventions, not machines of ours.
ALLOWED = re.compile(r"/home/(?:airflow|costlake|superset)\b|/tmp/requirements[\w.-]*")
LONG_BY_NATURE = {"requirements.lock", "dbt/models/focus/_focus__cost_and_usage.yml", "docs/focus-mapping.md"}
READ_BY_PEOPLE = (".py", ".sql", ".md", ".yml", ".yaml", ".toml", ".sh", "")


@cache
def tracked() -> tuple[str, ...]:
    """The files that Git knows, relative to the project."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, check=True, text=True)
    return tuple(name for name in listed.stdout.split("\0") if name and (PROJECT_ROOT / name).is_file())


def text_of(name: str) -> str:
    """A tracked file's text; empty for a binary one."""
    data = (PROJECT_ROOT / name).read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", errors="replace")


def private_parts(text: str) -> list[str]:
    """What must not be in a public repository."""
    bare = ALLOWED.sub("", text)
    return [f"{what}: {found[0]!r}" for what, pattern in PRIVATE.items() if (found := pattern.search(bare))]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in HEADING.findall(FENCED.sub("", text))}


def dead_links(page: Path) -> list[str]:
    """Relative links of a Markdown page that lead to no file or heading."""
    dead = []
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    return dead


def test_generated_parts_are_current() -> None:
    stale = list(generator.load().stale_pages(PROJECT_ROOT))
    assert stale == [], "run .venv/bin/python scripts/docs"


def test_every_command_and_option_is_documented() -> None:
    page = text_of("docs/cli.md")
    commands = generator.load().commands()
    assert len(commands) >= 12
    for name, command in commands:
        assert f"## `{name}`" in page
        assert command.help, f"{name} has no docstring"
        for parameter in command.params:
            shown = parameter.name.upper() if parameter.param_type_name == "argument" else parameter.opts[0]
            assert parameter.name == "help" or f"`{shown}" in page, f"{name}: {shown}"


def test_a_reader_of_readme_sees_every_source_and_command() -> None:
    page = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    for block in ("sources", "cli"):
        assert f"<!-- generated: {block} -->" in page, f"README.md has no generated block {block}"
    for source in all_sources().values():
        assert f"`{source.name}`" in page, f"README.md does not name {source.name}"


def test_a_stale_block_is_noticed_and_an_unknown_one_refused() -> None:
    made = generator.load()
    block = "before\n<!-- generated: sources -->\nold\n<!-- /generated -->\nafter\n"
    filled = made.filled(block, "x.md")
    assert "aws_cur2" in filled
    assert filled.startswith("before\n")
    assert filled.endswith("<!-- /generated -->\nafter\n")
    assert made.filled(filled, "x.md") == filled
    with pytest.raises(ValueError, match="nonsense"):
        made.filled(block.replace("sources", "nonsense"), "x.md")


def test_every_law_names_tests_and_they_exist() -> None:
    page = text_of("docs/architecture.md")
    rows = {int(row[1]): page[row.start() : page.index("\n", row.start())] for row in LAW_ROW.finditer(page)}
    assert sorted(rows) == list(range(1, 11))
    for number, row in rows.items():
        named = TEST_NAME.findall(row)
        assert named, f"law {number} names no test"
        for file, name in named:
            assert (PROJECT_ROOT / file).is_file(), f"law {number}: {file}"
            tree = ast.parse(text_of(file))
            assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"law {number}: {file}::{name}"


@pytest.mark.parametrize("page", [name for name in tracked() if name.endswith(".md")])
def test_no_link_leads_nowhere(page: str) -> None:
    assert dead_links(PROJECT_ROOT / page) == []


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title\n[a](#a-title) [b](other.md) [c](#nowhere) [d](https://example.org)\n```\n[e](code.md)\n```\n", encoding="utf-8"
    )
    assert dead_links(page) == ["other.md", "#nowhere"]


def test_every_decision_is_listed_and_numbered_once() -> None:
    names = sorted(Path(name).name for name in tracked() if re.match(r"docs/decisions/\d", name))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    index = text_of("docs/decisions/README.md")
    assert [name for name in names if f"({name})" not in index] == []


@pytest.mark.parametrize("suffix", READ_BY_PEOPLE)
def test_no_file_grows_beyond_what_a_person_reads(suffix: str) -> None:
    names = [name for name in tracked() if Path(name).suffix == suffix and name not in LONG_BY_NATURE]
    assert {name: lines for name in names if (lines := text_of(name).count("\n")) > 400} == {}


def test_a_model_is_read_from_top_to_bottom() -> None:
    names = [name for name in tracked() if re.fullmatch(r"dbt/(models|tests)/.*\.sql", name)]
    assert names
    assert {name: lines for name in names if (lines := text_of(name).count("\n")) > 150} == {}


def test_dag_files_hold_no_logic() -> None:
    assert [name for name in tracked() if re.fullmatch(r"dags/\w+\.py", name) and text_of(name).count("\n") >= 40] == []


def test_nothing_is_called_utils() -> None:
    assert [name for name in tracked() if re.search(r"(^|/|_)(utils?|helpers|misc|common)(/|\.py$)", name)] == []


@pytest.mark.parametrize("room", sorted({name.split("/", 1)[0] for name in tracked()}))
def test_no_machine_index_or_person_is_named(room: str) -> None:
    names = [name for name in tracked() if name == room or name.startswith(f"{room}/")]
    assert {name: parts for name in names if (parts := private_parts(text_of(name)))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "open('/" + "work/main/x')",
        "cd /" + "root/x",
        "x = /" + "tmp/scratch",
        "--index-" + "url https://mirror.example/",
        "jane.doe@" + "corp.com",
    ],
)
def test_a_private_part_is_noticed(text: str) -> None:
    assert private_parts(text)


def test_requirements_name_no_host() -> None:
    assert re.findall(r"https?://\S+", text_of("requirements.lock")) == []
