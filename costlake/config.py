"""The files of config/ as pydantic models; an error names the file, the key and what was expected.

Data flow: config/accounts.yml → `Accounts` → `ingest`; config/currency.yml → `Currency` → `costlake.rates`.
Run alone: costlake config check
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from costlake.credentials import REFERENCE
from costlake.currencies import ISO_4217
from costlake.errors import ConfigError
from costlake.money import BRONZE_SCALE, parse_money
from costlake.objectstores import place_of
from costlake.periods import BillingPeriod

Model = TypeVar("Model", bound=BaseModel)
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def _reference(value: str) -> str:
    if REFERENCE.fullmatch(value) is None:
        raise ValueError("a reference: env:PREFIX, file:/path or profile:name, never the secret itself")
    return value


class Pull(BaseModel):
    """How an export is pulled from its provider's API instead of being delivered.

    Attributes:
        api: whose API (`ingest/pull/apis.py`).
        credential: reference to the key (`…_API_KEY` of costlake/credentials.py), never the key itself.
        base_url: the API's address, where it is not the provider's own: https, or http on this machine.
        reports: which of the reports that the export's source reads; None for all of them.
        since: first UTC day that is ever asked for; None for 30 days before the first pull.
        window_days: so many days before the last one pulled are asked for again, for what came late.
        bucket_width: `1d`, `1h` or `1m`. group_by: dimensions; None for all that costlake uses.
        accept_gaps: for a server that leaves out buckets without data: a missing page in the middle is not noticed then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    api: str
    credential: str
    base_url: str | None = None
    reports: tuple[str, ...] | None = None
    since: dt.date | None = None
    window_days: int = Field(default=7, ge=1, le=180)
    bucket_width: Literal["1d", "1h", "1m"] = "1d"
    group_by: tuple[str, ...] | None = None
    accept_gaps: bool = False

    @field_validator("credential")
    @classmethod
    def _is_reference(cls, value: str) -> str:
        return _reference(value)

    @field_validator("base_url")
    @classmethod
    def _keeps_the_key_secret(cls, value: str | None) -> str | None:
        if value is None:
            return value
        parts = urlsplit(value)
        on_this_machine = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and on_this_machine):
            raise ValueError("an https address (http only on this machine): the key travels with each request")
        if parts.query or parts.fragment or parts.username or parts.password or not parts.hostname:
            raise ValueError("an address without user, password and query")
        return value.rstrip("/")


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
        provisioned_deployments: of a gateway, the ids of the deployments that are paid for by the hour (Azure PTU, Vertex GSU): its log
            says which deployment answered, not how that is paid for. It counts for deliveries that are loaded from then on.
        pull: how its deliveries are pulled from an API; None where somebody else writes them.
    """

    # Pydantic would quote what was written; a secret in the wrong place must not get into a traceback.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: str
    source: str
    location: str
    owner: str | None = None
    billing_account_id: str | None = None
    billing_account_name: str | None = None
    credential: str | None = None
    amortized_by: str | None = None
    provisioned_deployments: tuple[str, ...] = ()
    pull: Pull | None = None

    @field_validator("id")
    @classmethod
    def _is_slug(cls, value: str) -> str:
        if _ID.fullmatch(value) is None:
            raise ValueError("lower-case letters, digits and hyphens only, at most 63")
        return value

    @field_validator("credential")
    @classmethod
    def _is_reference(cls, value: str | None) -> str | None:
        return None if value is None else _reference(value)

    @model_validator(mode="after")
    def _pulls_into_a_folder(self) -> Export:
        if self.pull is not None and "://" in self.location:
            raise ValueError("pulled pages are written into a folder of this machine: give `location` a path")
        return self


class Accounts(BaseModel):
    """config/accounts.yml: which exports exist."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

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


def _known_currency(code: str) -> str:
    if code not in ISO_4217:
        raise ValueError(f"{code!r} is no ISO 4217 currency code")
    return code


def _billing_month(label: str) -> str:
    return BillingPeriod.parse(label).label


def _exact_rate(text: object) -> Decimal:
    # Only text keeps every digit that was written: YAML's own float has 15 to 17 of them.
    rate = parse_money(text) if isinstance(text, str) else None
    if rate is None or not 0 < rate < _RATE_LIMIT:
        raise ValueError(f"{text!r} is no exchange rate: expected a number above 0 and below {_RATE_LIMIT:,}")
    if int(rate.normalize().as_tuple().exponent) < -BRONZE_SCALE:
        raise ValueError(f"{text!r} has more than {BRONZE_SCALE} decimals")
    return rate


# With it and 18 decimals a cost of 20 integer digits is converted exactly (dbt macro in_reporting_currency).
_RATE_LIMIT = 10**8
CurrencyCode = Annotated[str, AfterValidator(_known_currency)]


class RateOverride(BaseModel):
    """A rate that wins over the ECB's for one month: what treasury or a contract says.

    Attributes:
        month: YYYY-MM. from_currency (key `from`): currency of the bills. to_currency (key `to`): the reporting currency.
        rate: units of `to` for one unit of `from`.
        reason: who says so, for the report and the ledger.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    month: Annotated[str, AfterValidator(_billing_month)]
    from_currency: CurrencyCode = Field(alias="from")
    to_currency: CurrencyCode = Field(alias="to")
    rate: Annotated[Decimal, BeforeValidator(_exact_rate)]
    reason: str = Field(min_length=3)


class Currency(BaseModel):
    """config/currency.yml: the currency that all bills are also shown in, and the rates that win over the ECB's.

    Attributes:
        reporting_currency: ISO 4217 code.
        lock_after_days: a month's rate is locked this many days after the month's end.
        overrides: at most one per month and currency.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reporting_currency: CurrencyCode = "USD"
    lock_after_days: int = Field(default=5, ge=0, le=90)
    overrides: tuple[RateOverride, ...] = ()

    @model_validator(mode="after")
    def _overrides_mean_something(self) -> Currency:
        seen = set()
        for override in self.overrides:
            name = f"{override.month} {override.from_currency}"
            if override.to_currency != self.reporting_currency or override.from_currency == override.to_currency:
                raise ValueError(f"override {name}: `to` has to be {self.reporting_currency}, the reporting currency, and `from` another")
            if name in seen:
                raise ValueError(f"two overrides for {name}")
            seen.add(name)
        return self


def load_currency(path: Path) -> Currency:
    """Read currency.yml, numbers by their own text. A missing file means US dollars at the ECB's rates."""
    return _load(path, Currency, _as_text)


def load_accounts(path: Path) -> Accounts:
    """Read accounts.yml; relative locations become absolute, seen from the file. A missing file means no exports."""
    accounts = _load(path, Accounts)
    resolved = tuple(export.model_copy(update={"location": _resolve(export.location, path.parent)}) for export in accounts.exports)
    return accounts.model_copy(update={"exports": resolved})


def load_known_models(path: Path) -> KnownModels:
    """Read prices/models.yml. A missing file means no extra models."""
    return _load(path, KnownModels)


def load_exact(path: Path, model: type[Model]) -> Model:
    """Read a file of config/, every scalar as its own text, so that no number passes through a float. A missing file gives the defaults."""
    return _load(path, model, _as_text)


def _as_text(text: str) -> object:
    # The base loader makes text of every scalar and nothing else: 0.1 keeps its digits, NO stays a word.
    return yaml.load(text, yaml.BaseLoader)  # noqa: S506


def _resolve(location: str, base: Path) -> str:
    place_of(location)  # refuses a URL that no store serves, or that carries a token
    return location if "://" in location else str((base / location).resolve())


def _load(path: Path, model: type[Model], parse: Callable[[str], object] = yaml.safe_load) -> Model:
    if not path.exists():
        return model()
    try:
        return model.model_validate(parse(path.read_text(encoding="utf-8")) or {})
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
