"""Law 10: what opens a store is found by reference, and shows itself nowhere."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest

from costlake.config import load_accounts
from costlake.credentials import resolve
from costlake.errors import ConfigError
from costlake.objectstores import place_of

SECRET = "verysecret/key+1"


def test_a_resolved_credential_does_not_print_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("BILLS_SECRET_ACCESS_KEY", SECRET)
    found = resolve("env:BILLS")
    assert found.get("SECRET_ACCESS_KEY") == SECRET
    assert SECRET not in f"{found} {found!r} {found.values}"


@pytest.mark.parametrize(
    "text", [f"# ours\nACCESS_KEY_ID=id\nSECRET_ACCESS_KEY='{SECRET}'\n", json.dumps({"access_key_id": "id", "secret_access_key": SECRET})]
)
def test_a_file_may_hold_the_keys(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text, encoding="utf-8")
    assert resolve(f"file:{tmp_path}/keys").get("SECRET_ACCESS_KEY") == SECRET


def test_a_key_file_of_google_is_known_by_its_type(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(json.dumps({"type": "service_account", "private_key": SECRET}), encoding="utf-8")
    assert SECRET in (resolve(f"file:{tmp_path}/key.json").get("SERVICE_ACCOUNT_JSON") or "")


@pytest.mark.parametrize("reference", ["env:NOTHING_IS_SET", "file:/no/such/file", SECRET, "env:", "vault:x"])
def test_a_reference_that_leads_nowhere_says_so_and_repeats_no_secret(reference: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(reference)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_file_that_is_no_list_of_keys_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{SECRET}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        resolve(f"file:{tmp_path}/keys")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "field", [f"location: s3://b/p\n    credential: {SECRET}", f"location: https://a.blob.core.windows.net/c?sig={SECRET}"]
)
def test_a_secret_written_into_accounts_yml_is_refused_without_being_repeated(tmp_path: Path, field: str) -> None:
    path = tmp_path / "accounts.yml"
    path.write_text(f"exports:\n  - id: aws\n    source: aws_cur2\n    {field}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_accounts(path)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("s3://bucket/a b/c?d#e%20/", "s3://bucket/a b/c?d#e%20"),
        ("gs://bucket", "gs://bucket"),
        ("az://account/container/a/b", "az://account/container/a/b"),
        ("abfss://container@account.dfs.core.windows.net/a", "az://account/container/a"),
        ("https://account.blob.core.windows.net/container/a%20b", "az://account/container/a b"),
    ],
)
def test_a_location_is_taken_as_it_is_written(location: str, url: str) -> None:
    place = place_of(location)
    assert place is not None
    assert place.url == url


@pytest.mark.parametrize("location", ["ftp://x/y", "https://example.com/a", "s3://", "s3://key:secret@bucket/a", "az://account"])
def test_a_location_that_no_store_serves_is_refused(location: str) -> None:
    with pytest.raises(ConfigError):
        place_of(location)
