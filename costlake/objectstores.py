"""Object stores as costlake sees them: where a URL points, the SDK client that reaches it, and what its errors mean.

Data flow: location (`s3://bucket/prefix`) → `Place`; `Place` and `Credential` → client; an SDK's exception → one of ours.

Used by ingest/stores (provider files) and costlake/tablestore.py (the lake's own tables). Timeouts and the number of tries are
the same everywhere; an SDK's message is never passed on, for URLs with signatures stand in some of them.
Run alone: python -c "from costlake.objectstores import place_of; print(place_of('az://account/container/prefix'))"
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from costlake.credentials import Credential
from costlake.errors import ConfigError, CostlakeError, MissingPart, ObjectReplaced, StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from google.cloud.storage import Client as GcsClient  # type: ignore[import-untyped]

# Seconds to connect and between two bytes, tries of one request, and seconds before the second try (doubled each time).
CONNECT_SECONDS, READ_SECONDS, TRIES, FIRST_WAIT_SECONDS = 10, 60, 4, 1

_AZURE_BLOCK_BYTES = 4 << 20
_AZURE_HOST = re.compile(r"(?P<account>[a-z0-9]+)\.(?:blob|dfs)\.(?P<domain>.+)")
_GONE_CONTAINERS = frozenset({"NoSuchBucket", "ContainerNotFound"})
_BUSY_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_BUSY_CODES = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ServerBusy", "OperationTimedOut", "InternalError"})


@dataclass(frozen=True)
class Place:
    """A folder in an object store.

    Attributes:
        scheme: s3, gs or az. bucket: bucket or container. prefix: folder in it, without slash at the end; may be empty.
        account: Azure's storage account. endpoint: the account's own address where the location gives it.
    """

    scheme: Literal["s3", "gs", "az"]
    bucket: str
    prefix: str
    account: str = ""
    endpoint: str | None = None

    @property
    def url(self) -> str:
        """The location as people write it, without slash at the end."""
        return "/".join(part for part in (f"{self.scheme}:/", self.account, self.bucket, self.prefix) if part)

    def full_key(self, key: str) -> str:
        """A key below the place as the key in its bucket."""
        return f"{self.prefix}/{key}" if self.prefix else key


def place_of(location: str) -> Place | None:
    """Where a URL points; None for a folder of this machine.

    S3, Google and `az://` locations are taken as they stand, character by character (keys may hold `+`, `%`, `?`); an https URL is
    percent-decoded. ConfigError for other schemes, and for a URL that carries a credential.
    """
    scheme, separator, rest = location.partition("://")
    if not separator or scheme == "file":
        return None
    if scheme == "https":
        return _azure_url(location)
    head, _, path = rest.partition("/")
    path = path.rstrip("/")
    if scheme in ("s3", "s3a", "gs") and head and "@" not in head:
        return Place("gs" if scheme == "gs" else "s3", head, path)
    if scheme == "az" and head and path:
        container, _, prefix = path.partition("/")
        return Place("az", container, prefix, head)
    container, _, host = head.partition("@")
    match = _AZURE_HOST.fullmatch(host)
    if scheme in ("abfss", "abfs") and container and match:
        return Place("az", container, path, match["account"], f"https://{match['account']}.blob.{match['domain']}")
    raise _unknown(scheme)


def _azure_url(location: str) -> Place:
    parts = urlsplit(location)
    match = _AZURE_HOST.fullmatch(parts.hostname or "")
    if parts.query or parts.username or parts.password:
        raise ConfigError(
            "the location carries a credential (a query or a password)",
            where=f"a location at {parts.hostname}",
            expected="a URL without ? and @; the credential by reference",
            next_step="put the token behind a reference (docs/runbooks/object-stores.md) and renew it: it was written into a file",
        )
    container, _, prefix = unquote(parts.path).strip("/").partition("/")
    if match is None or not container:
        raise _unknown("https")
    return Place("az", container, prefix, match["account"], f"https://{match['account']}.blob.{match['domain']}")


def _unknown(scheme: str) -> ConfigError:
    return ConfigError(
        f"no store for this {scheme}:// location",
        where="a location in config/accounts.yml, on the command line or in COSTLAKE_TABLES",
        expected="a local folder, s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix, "
        "abfss://container@account.dfs.core.windows.net/prefix or https://account.blob.core.windows.net/container/prefix",
        next_step="correct the location",
    )


def aws_session(credential: Credential) -> Any:
    """A boto3 session for the credential (keys, a profile, or the default chain)."""
    import boto3  # type: ignore[import-untyped]

    key, secret = credential.get("ACCESS_KEY_ID"), credential.get("SECRET_ACCESS_KEY")
    if bool(key) != bool(secret):
        raise _incomplete(credential, "ACCESS_KEY_ID and SECRET_ACCESS_KEY")
    return boto3.Session(key, secret, credential.get("SESSION_TOKEN"), credential.get("REGION"), profile_name=credential.profile)


def s3_client(credential: Credential) -> Any:
    """A boto3 client of S3 or of a server that speaks its protocol."""
    from botocore import UNSIGNED  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    endpoint = credential.get("ENDPOINT_URL")
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        # Servers other than Amazon's have no address per bucket.
        s3={"addressing_style": "path"} if endpoint else None,
        signature_version=UNSIGNED if credential.anonymous else None,
    )
    return aws_session(credential).client("s3", endpoint_url=endpoint, config=config)


def gcs_client(credential: Credential) -> GcsClient:
    """A client of Google Cloud Storage."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage  # type: ignore[import-untyped]

    project = credential.get("PROJECT")
    endpoint = credential.get("ENDPOINT_URL")
    options = {"api_endpoint": endpoint} if endpoint else None
    if credential.anonymous:
        keyless: Any = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return storage.Client(project=project or "none", credentials=keyless, client_options=options)
    key_file, key_text = credential.get("SERVICE_ACCOUNT_FILE"), credential.get("SERVICE_ACCOUNT_JSON")
    if not (key_file or key_text):
        return storage.Client(project=project, client_options=options)
    import google.auth

    scopes = ["https://www.googleapis.com/auth/devstorage.read_only"]
    if key_text:
        keys, own = google.auth.load_credentials_from_dict(json.loads(key_text), scopes=scopes)  # type: ignore[no-untyped-call]
    else:
        keys, own = google.auth.load_credentials_from_file(key_file, scopes=scopes)  # type: ignore[no-untyped-call]
    return storage.Client(project=project or own or "none", credentials=keys, client_options=options)


def azure_container(place: Place, credential: Credential) -> ContainerClient:
    """A client of one Azure container."""
    from azure.storage.blob import BlobServiceClient, ExponentialRetry

    options: dict[str, Any] = {
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        # The SDK holds several copies of a block; its first one would be 32 MiB.
        "max_single_get_size": _AZURE_BLOCK_BYTES,
        "max_chunk_get_size": _AZURE_BLOCK_BYTES,
        "retry_policy": ExponentialRetry(
            initial_backoff=FIRST_WAIT_SECONDS, increment_base=2, retry_total=TRIES - 1, random_jitter_range=FIRST_WAIT_SECONDS
        ),
    }
    connection = credential.get("CONNECTION_STRING")
    if connection:
        service = BlobServiceClient.from_connection_string(connection, **options)
    else:
        key = credential.get("ACCOUNT_KEY") or credential.get("SAS_TOKEN")
        if key is None and not credential.anonymous:
            raise _incomplete(credential, "CONNECTION_STRING, ACCOUNT_KEY or SAS_TOKEN")
        endpoint = credential.get("ENDPOINT_URL") or place.endpoint or f"https://{place.account}.blob.core.windows.net"
        service = BlobServiceClient(endpoint, credential=key, **options)
    if service.account_name != place.account:
        raise ConfigError(
            f"the credential opens the account {service.account_name}",
            where=place.url,
            expected=f"a credential of the account {place.account}",
            next_step="correct the location or the credential reference",
        )
    return service.get_container_client(place.bucket)


def _incomplete(credential: Credential, keys: str) -> ConfigError:
    return ConfigError(
        "the credential lacks what this store needs",
        where=f"credential {credential.reference or '(none)'}",
        expected=keys,
        next_step="set it behind the reference where the task runs (docs/runbooks/object-stores.md)",
    )


@contextmanager
def answering(place: Place, key: str = "") -> Iterator[None]:
    """Turn an SDK's exception into ours, by status and error code.

    Raises:
        MissingPart: there is no such object. ObjectReplaced: it is not the one that was asked for any more.
        StoreRefused: bucket or permission is missing, or the credential is wrong or has expired.
        StoreUnavailable: no answer, too busy, or broken off.
    """
    try:
        yield
    except CostlakeError:
        raise
    except Exception as error:
        translated = _translated(error, f"{place.url}/{key}" if key else place.url, asked_for_object=bool(key))
        if translated is None:
            raise
        # The SDK's own text may hold a signed URL; it must not follow in a traceback either.
        raise translated from None


def _translated(error: Exception, where: str, *, asked_for_object: bool) -> CostlakeError | None:
    # Google's word for "tried until the time was up" has the last answer inside.
    error = getattr(error, "cause", None) or error
    sdk = type(error).__module__.startswith(("botocore", "boto3", "azure.", "google.", "requests", "urllib3"))
    if not sdk and not isinstance(error, ConnectionError | TimeoutError):
        return None
    name = type(error).__name__
    status, code = _answer(error)
    if status is None:
        # A client that found no usable credential never sent a request; everything else was silence.
        # (google.auth says of its own errors whether trying again helps.)
        unusable = re.search(r"Credential|Profile|Refresh|Auth|Token|ParamValidation", name)
        if unusable and not getattr(error, "retryable", False):
            return refused(f"no usable credential ({name})", where)
        return unavailable(f"no answer ({name})", where)
    said = f"{status} {code}".strip()
    if status == 412:
        return ObjectReplaced(
            f"the object was replaced while it was read (the store answers {said})",
            where=where,
            expected="the object that was looked at before",
            next_step="run the ingest again: the provider was writing a new delivery",
        )
    if status in _BUSY_STATUS or code in _BUSY_CODES:
        return unavailable(f"the store answers {said}", where)
    if status == 404 and asked_for_object and code not in _GONE_CONTAINERS:
        return MissingPart(
            "the file is not there",
            where=where,
            expected="every file that the manifest names",
            next_step="wait for the delivery to finish, or ask the provider to deliver the period again",
        )
    return refused(f"the store answers {said}", where)


def _answer(error: Any) -> tuple[int | None, str]:
    """HTTP status and error code of an answer; no status where nothing came back."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = response.get("Error", {}).get("Code", "")
    else:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)  # azure, google
        details = getattr(error, "errors", None)
        code = getattr(error, "error_code", None) or (details[0].get("reason") if details and isinstance(details[0], dict) else "")
    plain = re.sub(r"[^A-Za-z0-9]", "", str(getattr(code, "value", code) or ""))[:60]
    return (int(status), "" if plain == str(int(status)) else plain) if isinstance(status, int) else (None, plain)


def unavailable(what: str, where: str) -> StoreUnavailable:
    """A store that may well answer later."""
    return StoreUnavailable(
        f"the object store cannot be reached now: {what}",
        where=where,
        expected="an answer",
        next_step="run the command again; if it repeats, look at the network and at the cloud's status page",
    )


def refused(what: str, where: str) -> StoreRefused:
    """A store that will say no until somebody acts."""
    return StoreRefused(
        f"the object store refuses: {what}",
        where=where,
        expected="a bucket that exists and a credential that may list and read it",
        next_step="check bucket, region, policy and credential (docs/runbooks/object-stores.md), then run the command again",
    )
