"""What opens an object store, found by reference: the secret itself stands in no file of config/, in no ledger and in no log.

Data flow: `Export.credential` or COSTLAKE_TABLES_CREDENTIAL → `resolve`, in the task that opens the store → an SDK's client.

    env:PREFIX      the environment variables PREFIX_ACCESS_KEY_ID, PREFIX_SECRET_ACCESS_KEY, …; `KEYS` lists them all
    file:/path      a file with the same keys (KEY=value lines or a JSON object), or a key file of Google Cloud
    profile:name    a profile of AWS' own configuration files
    (none)          the SDK's default chain: roles of the machine, workload identity, the SDK's own variables

Run alone: python -c "from costlake.credentials import resolve; print(resolve('env:BILLS'))" shows the keys, not what they hold.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from costlake.errors import ConfigError

REFERENCE = re.compile(r"env:[A-Z][A-Z0-9_]*|file:\S.*|profile:[\w.@+-]+")

# The keys that a reference may give, by cloud; ENDPOINT_URL is for servers that speak a cloud's protocol.
KEYS = (
    "ACCESS_KEY_ID SECRET_ACCESS_KEY SESSION_TOKEN REGION "  # S3
    "SERVICE_ACCOUNT_FILE SERVICE_ACCOUNT_JSON PROJECT "  # Google Cloud Storage
    "CONNECTION_STRING ACCOUNT_KEY SAS_TOKEN "  # Azure Blob
    "USERNAME PASSWORD "  # Kafka
    "ENDPOINT_URL ANONYMOUS"
).split()
_GOOGLE_KEY_FILES = frozenset({"service_account", "authorized_user", "external_account", "impersonated_service_account"})


@dataclass(frozen=True)
class Credential:
    """Resolved values under their keys; printing it shows the keys alone.

    Attributes:
        reference: where it was found, for people; None for the SDK's default chain.
        values: key of `KEYS` → value.
        profile: a profile of AWS' configuration.
    """

    reference: str | None = None
    values: Mapping[str, SecretStr] = field(default_factory=dict)
    profile: str | None = None

    def get(self, key: str) -> str | None:
        """The value itself; only what hands it to an SDK calls this."""
        if key not in KEYS:
            raise ValueError(f"{key} is not a key of a credential")
        value = self.values.get(key)
        return value.get_secret_value() if value is not None else None

    @property
    def anonymous(self) -> bool:
        """Whether requests go out unsigned (public buckets, test servers)."""
        return (self.get("ANONYMOUS") or "").lower() in ("1", "true", "yes")


def resolve(reference: str | None) -> Credential:
    """The credential behind a reference. ConfigError, without what was found, when there is none or it cannot be read."""
    if reference is None:
        return Credential()
    if REFERENCE.fullmatch(reference) is None:
        # Not repeated: somebody may have put the secret itself here.
        raise _wrong("the credential is not a reference", "a credential setting", "write the secret elsewhere and name that place here")
    kind, _, name = reference.partition(":")
    if kind == "profile":
        return Credential(reference, profile=name)
    found = _from_environment(name) if kind == "env" else _from_file(Path(name), reference)
    if not found:
        raise _wrong(
            "nothing is set behind the credential reference",
            reference,
            f"set {name}_ACCESS_KEY_ID, {name}_CONNECTION_STRING, … where the task runs (docs/runbooks/object-stores.md)"
            if kind == "env"
            else "write KEY=value lines into the file (docs/runbooks/object-stores.md)",
        )
    return Credential(reference, {key: SecretStr(value) for key, value in found.items()})


def _from_environment(prefix: str) -> dict[str, str]:
    return {key: value for key in KEYS if (value := os.environ.get(f"{prefix}_{key}"))}


def _from_file(path: Path, reference: str) -> dict[str, str]:
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError):
        raise _wrong("the credential file cannot be read", reference, "check that the file exists and this user may read it") from None
    if text.lstrip().startswith("{"):
        try:
            content = json.loads(text)
        except ValueError:
            raise _wrong("the credential file begins like JSON and is none", reference, "download or write the file again") from None
        if content.get("type") in _GOOGLE_KEY_FILES:
            return {"SERVICE_ACCOUNT_JSON": text}
        pairs = [(str(key), str(value)) for key, value in content.items()]
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        pairs = [(key, value.strip().strip("\"'")) for key, _, value in (line.partition("=") for line in lines)]
    unknown = sorted(key.strip() for key, _ in pairs if key.strip().upper() not in KEYS)
    if unknown:
        # Of a file that is no list of keys, a part of the secret could be taken for a key: only their number is told.
        raise _wrong(f"the credential file has {len(unknown)} key(s) that are not known", reference, f"use only {', '.join(KEYS)}")
    return {key.strip().upper(): value for key, value in pairs if value}


def _wrong(what: str, where: str, next_step: str) -> ConfigError:
    return ConfigError(what, where=where, expected="env:PREFIX, file:/path, profile:name, or none", next_step=next_step)
