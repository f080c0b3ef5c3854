"""Prompts and answers never reach the lake (law 10): what a redaction keeps, what it leaves behind, what its errors say."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import CostlakeError
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import IngestResult, ingest_file, ingest_stream
from tests.ingest.test_sources_contract import FIXTURES

# What the fixtures' prompts, answers, persons and keys say.
SECRETS = ("PROMPT-TEXT", "ANSWER-TEXT", "ada@example.com", "customer-77", "192.0.2.7", "sk-not-hashed")
RULES = {"bedrock_logs": "bedrock_logs/1", "litellm_requests": "litellm_requests/2"}
REDACTED = list(RULES)


def _ingested(source: str, settings: Settings, clock: FixedClock) -> IngestResult:
    export = Export(id="fixture", source=source, location=str(FIXTURES / source), billing_account_id="acc-1")
    return ingest_stream(settings, export, clock)


def _readable(path: Path) -> str:
    """Everything a file says: Parquet and gzip unpacked."""
    if path.suffix == ".parquet":
        return repr(pq.ParquetFile(path).read().to_pylist()) + str(pq.read_metadata(path).metadata)
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return content.decode("utf-8", errors="replace")


def _everything(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): _readable(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("source", REDACTED)
def test_no_prompt_no_person_and_no_key_is_anywhere_in_the_lake(source: str, settings: Settings, clock: FixedClock) -> None:
    delivered = "".join(_everything(FIXTURES / source).values())
    assert any(secret in delivered for secret in SECRETS), "the fixture has nothing to hide: the test could not fail"
    assert _ingested(source, settings, clock).refused == []
    found = {name: [secret for secret in SECRETS if secret in text] for name, text in _everything(settings.lake).items()}
    assert {name: secrets for name, secrets in found.items() if secrets} == {}
    assert any(name.startswith("landing/objects") for name in found)


@pytest.mark.parametrize("source", REDACTED)
def test_the_deliverys_record_says_what_was_delivered_and_what_was_kept(source: str, settings: Settings, clock: FixedClock) -> None:
    import hashlib

    _ingested(source, settings, clock)
    record = next((settings.landing / "deliveries").rglob("*.json"))
    for described in json.loads(record.read_text())["objects"]:
        delivered = (FIXTURES / source / described["key"]).read_bytes()
        redaction: Mapping[str, Any] = described["redaction"]
        assert redaction["rule"] == RULES[source]
        assert redaction["delivered_etag"] == hashlib.sha256(delivered).hexdigest()
        assert redaction["delivered_byte_count"] == len(delivered)
        landed = next((settings.landing / "objects").rglob(f"{described['sha256']}*"))
        assert hashlib.sha256(landed.read_bytes()).hexdigest() == described["sha256"] != redaction["delivered_etag"]


@pytest.mark.parametrize("source", REDACTED)
def test_a_second_run_downloads_and_redacts_nothing(source: str, settings: Settings, clock: FixedClock) -> None:
    first = _ingested(source, settings, clock)
    before = _everything(settings.landing)
    second = _ingested(source, settings, clock)
    assert (second.loaded, second.refused, second.unchanged) == ([], [], len(first.loaded))
    assert _everything(settings.landing) == before


def test_a_file_that_cannot_be_redacted_is_refused_without_its_text(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    """DuckDB quotes what it cannot parse; the ledger and the log would keep it."""
    rows = pq.read_table(FIXTURES / "litellm_requests" / "2026-11-02" / "spend_logs-1.parquet").to_pylist()
    rows[0]["metadata"] = '{"guardrail": "PROMPT-TEXT'
    path = tmp_path / "spend.parquet"
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(rows), path)
    result = ingest_file(settings, path, clock, source_name="litellm_requests")
    assert len(result.refused) == 1
    error = result.refused[0]
    assert isinstance(error, CostlakeError)
    assert "PROMPT-TEXT" not in str(error)
    assert error.__cause__ is None
    assert not [name for name, text in _everything(settings.lake).items() if "PROMPT-TEXT" in text]
    assert not settings.landing.exists()
    assert Lake(settings).tables("bronze") == []
