"""The files of config/ as pydantic models; an error names the file, the key and what was expected.

Data flow: config/accounts.yml → `Accounts` → `ingest`.
Run alone: costlake config check
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from costlake.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Export(BaseModel):
    """One configured stream of deliveries.

    Attributes:
        id: our name of it; becomes `_source_id` and part of paths.
        source: the kind of file, one of `costlake sources`.
        location: folder or URL below which the provider writes; relative to the file that names it.
        owner: who answers for it.
        billing_account_id: billing account, for providers whose files do not name it (LLM APIs).
        billing_account_name: its display name.
        credential: reference to what opens the store, never the secret itself; None takes the store's own default chain.
        amortized_by: for an export of actual cost, the id of the export that holds the amortized cost of the same account.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    source: str
    location: str
    owner: str | None = None
    billing_account_id: str | None = None
    billing_account_name: str | None = None
    credential: str | None = None
    amortized_by: str | None = None

    @field_validator("id")
    @classmethod
    def _is_slug(cls, value: str) -> str:
        if _ID.fullmatch(value) is None:
            raise ValueError("lower-case letters, digits and hyphens only, at most 63")
        return value


class Accounts(BaseModel):
    """config/accounts.yml: which exports exist."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exports: tuple[Export, ...] = Field(default=())

    @field_validator("exports")
    @classmethod
    def _ids_are_unique(cls, exports: tuple[Export, ...]) -> tuple[Export, ...]:
        ids = [export.id for export in exports]
        doubled = sorted({name for name in ids if ids.count(name) > 1})
        if doubled:
            raise ValueError(f"export ids used twice: {doubled}")
        return exports


class KnownModels(BaseModel):
    """config/prices/models.yml: models that genai-prices does not list yet, per provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def load_accounts(path: Path) -> Accounts:
    """Read accounts.yml; relative locations become absolute, seen from the file. A missing file means no exports."""
    accounts = _load(path, Accounts)
    resolved = tuple(export.model_copy(update={"location": _resolve(export.location, path.parent)}) for export in accounts.exports)
    return accounts.model_copy(update={"exports": resolved})


def load_known_models(path: Path) -> KnownModels:
    """Read prices/models.yml. A missing file means no extra models."""
    return _load(path, KnownModels)


def _resolve(location: str, base: Path) -> str:
    return location if "://" in location else str((base / location).resolve())


def _load(path: Path, model: type[Model]) -> Model:
    if not path.exists():
        return model()
    try:
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except yaml.YAMLError as error:
        raise ConfigError(
            "the file is not YAML", where=f"{path.name}: {error}", expected="valid YAML", next_step="correct the marked line"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{len(error.errors())} value(s) are wrong; the first: {first['msg']}",
            where=f"{path.name}: {'.'.join(str(part) for part in first['loc'])}",
            expected=f"the keys of {model.__name__} (docs in costlake/config.py)",
            next_step="correct the value and run `costlake config check`",
        ) from error
