"""Untouched bytes under their sha256, and what each delivery consisted of.

Data flow: store → lake/.incoming/<n>/ (judged there) → lake/landing/objects/<ab>/<sha256><ending>, and
lake/landing/deliveries/<export>/<delivery id>.json.

Files are judged before they enter landing; a refused delivery leaves nothing but its line in the ledger. Of a source with a redaction
(ingest.redaction) landing gets the redacted file, and the record says what it was made of.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from costlake.settings import Settings
from ingest import containers
from ingest.redaction import Redaction, redact
from ingest.source import Delivery, LandedObject
from ingest.stores import Store

_ENDINGS = (".csv.gz", ".csv.zip", ".parquet", ".ndjson.gz", ".json.gz")


def delivery_id(delivery: Delivery, digests: tuple[str, ...]) -> str:
    """Identity of a delivery by what it holds: export, object names and their digests. The same files, the same id.

    The store tells the digests without a download, so that a delivery that is known costs no byte (`Store.digest`). What else decides
    about the rows belongs to it: an export paired with another one is loaded anew, and of an empty month its key.
    """
    objects = [(stored.key, digest) for stored, digest in zip(delivery.objects, digests, strict=True)]
    content = [delivery.export.id, delivery.export.source, objects or delivery.key]
    if delivery.export.amortized_by is not None:
        content.append(delivery.export.amortized_by)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:20]


@contextmanager
def incoming(
    settings: Settings, store: Store, delivery: Delivery, digests: tuple[str, ...], redaction: Redaction | None = None
) -> Iterator[tuple[LandedObject, ...]]:
    """Copy a delivery's files into a private folder, check that each is whole, redact it, and remove the folder afterwards.

    Yields the files in the manifest's order. Raises TruncatedFile, UnreadableFile, EmptyDelivery or MissingPart, and
    ObjectReplaced (retryable) when a file is not any more what its digest said.
    """
    area = settings.lake / ".incoming"
    area.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=area))
    try:
        pairs = zip(delivery.objects, digests, strict=True)
        most = limits(settings)
        objects = []
        for number, (stored, digest) in enumerate(pairs):
            own = folder / f"{number:05d}"
            landed = _fetch(store, stored.key, digest, own, most)
            objects.append(landed if redaction is None else redact(settings, redaction, delivery.export, landed, own))
        yield tuple(objects)
    finally:
        shutil.rmtree(folder)


def limits(settings: Settings) -> containers.Limits:
    """How much a packed file may unpack to."""
    return containers.Limits(settings.unpack_limit_bytes, settings.unpack_limit_ratio)


def settle(settings: Settings, delivery: Delivery, identity: str, objects: tuple[LandedObject, ...]) -> None:
    """Move judged files into landing and write the delivery's record; files that are there already are left alone."""
    for landed in objects:
        target = (
            settings.landing / "objects" / landed.etag[:2] / f"{landed.etag}{_ending(landed.path.name if landed.redacted else landed.key)}"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            # A hard link into place is atomic, and the incoming copy stays readable for the load.
            with suppress(FileExistsError):  # another ingest of the same bytes was quicker
                os.link(landed.raw or landed.path, target)
            target.chmod(0o444)
    record = {
        "delivery_id": identity,
        "export": delivery.export.id,
        "source": delivery.export.source,
        "key": delivery.key,
        "billing_period": delivery.billing_period,
        "manifest": delivery.manifest.decode("utf-8", errors="replace"),
        "objects": [_described(landed) for landed in objects],
    }
    folder = settings.landing / "deliveries" / delivery.export.id
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{identity}.{uuid.uuid4().hex[:8]}.json"
    partial.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    partial.replace(folder / f"{identity}.json")


def _described(landed: LandedObject) -> dict[str, object]:
    described: dict[str, object] = {"key": landed.key, "sha256": landed.etag, "byte_count": landed.byte_count}
    return described | ({"redaction": dataclasses.asdict(landed.redacted)} if landed.redacted else {})


def _fetch(store: Store, key: str, digest: str, folder: Path, most: containers.Limits) -> LandedObject:
    folder.mkdir()
    path = folder / Path(key).name
    sha256 = store.fetch(key, path, digest)
    (folder / "unpacked").mkdir()
    readable = containers.opened(path, key, folder / "unpacked", most)
    return LandedObject(key, sha256, readable.path, path.stat().st_size, path, readable.line_count)


def _ending(key: str) -> str:
    return next((ending for ending in _ENDINGS if key.endswith(ending)), Path(key).suffix)
