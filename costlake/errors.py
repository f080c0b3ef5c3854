"""Every error costlake raises on purpose, as one tree.

    CostlakeError                 says: what happened, where, what was expected, the next step
    ├── RetryableError            trying again later can help
    │   ├── StoreUnavailable      an object store did not answer
    │   ├── ObjectReplaced        a file was replaced between the look at it and the copy
    │   ├── BrokerUnavailable     Kafka did not answer
    │   ├── SourceUnavailable     a GPU driver or exporter does not answer now (streams/readings.py)
    │   ├── SpoolFull, SpoolFailed  the collector's buffer on disk takes no message (streams/spool.py)
    │   └── ConcurrentWrite       another writer committed to the same Delta slice first
    └── FatalError                trying again cannot help: somebody has to act
        ├── ConfigError           a file in config/ is wrong; names file and key
        ├── StoreRefused          an object store says no: bucket, permission or credential
        ├── BrokerRefused         Kafka says no: credential, certificate, permission or topic
        ├── RecordsLost           Kafka no longer has records that were never read; the gap is on record
        ├── LakeError             a Delta table cannot be read or written as asked
        ├── TransformError        dbt stopped; names the node
        ├── QualityError          a Great Expectations suite failed with severity `fail`
        ├── ReconciliationError   bill, bronze, FOCUS and marts differ; nothing is published
        ├── MessageError          a telemetry message cannot be taken (streams/events.py)
        ├── NoAccelerator         a host without accelerator or driver (streams/readings.py)
        ├── MalformedScrape, MalformedSamples  an exporter's page, a file of samples is none (streams/exporters.py, samplefiles.py)
        ├── SpoolInUse            another collector works on the same spool (streams/spool.py)
        └── DeliveryError         a delivery was refused; nothing of it was written
            ├── ManifestError     the commit marker is missing, unreadable or inconsistent
            ├── MissingPart       the manifest names a file that is not there
            ├── UnlistedPart      a file lies in the delivery's folder that the manifest does not name
            ├── TruncatedFile     a file ends before its format says it does
            ├── RowCountMismatch  the manifest counts other rows than came
            ├── UnreadableFile    a file is not what its name and format promise
            ├── OversizedFile     a packed file unpacks to more than the limits allow
            ├── EmptyDelivery     no rows where rows were expected
            ├── BadValue          a cell is not a value of its column's type (money above all)
            ├── UnknownModel      usage of a model that no price list knows
            ├── WrongPeriod       rows of a billing period that the manifest does not announce
            ├── ShrunkenDelivery  a redelivery has far less in it than the one it would replace
            └── ChangedUnit       a known SKU is measured in blocks of another size

Retry policies test the type (`RetryableError`), never the text.
"""

from __future__ import annotations


class CostlakeError(Exception):
    """Base of all deliberate errors.

    Args:
        what: what happened, in one sentence without a trailing full stop.
        where: file, row, column, table or setting; the narrowest place that is known.
        expected: what would have been right.
        next_step: what the reader should do now, as an imperative sentence.
    """

    def __init__(self, what: str, *, where: str, expected: str, next_step: str) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.next_step = next_step
        super().__init__(f"{what}\n  where:     {where}\n  expected:  {expected}\n  next step: {next_step}")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, which Airflow and multiprocessing use.
        return _rebuild, (type(self), self.what, self.where, self.expected, self.next_step)


def _rebuild(kind: type[CostlakeError], what: str, where: str, expected: str, next_step: str) -> CostlakeError:
    return kind(what, where=where, expected=expected, next_step=next_step)


class RetryableError(CostlakeError):
    """Trying again later can help."""


class StoreUnavailable(RetryableError):
    """An object store did not answer."""


class ObjectReplaced(RetryableError):
    """A file was replaced between the look at it and the copy."""


class BrokerUnavailable(RetryableError):
    """Kafka did not answer."""


class ConcurrentWrite(RetryableError):
    """Another writer committed to the same Delta slice first."""


class FatalError(CostlakeError):
    """Trying again cannot help: somebody has to act."""


class ConfigError(FatalError):
    """A file in config/ is wrong."""


class StoreRefused(FatalError):
    """An object store says no: bucket, permission or credential."""


class BrokerRefused(FatalError):
    """Kafka says no: credential, certificate, permission or topic."""


class RecordsLost(FatalError):
    """Kafka no longer has records that were never read; the gap is on record."""


class LakeError(FatalError):
    """A Delta table cannot be read or written as asked."""


class TransformError(FatalError):
    """dbt stopped."""


class QualityError(FatalError):
    """An expectation suite failed with severity `fail`."""


class ReconciliationError(FatalError):
    """Bill, bronze, FOCUS and marts differ."""


class DeliveryError(FatalError):
    """A delivery was refused; nothing of it was written."""


class ManifestError(DeliveryError):
    """The commit marker is missing, unreadable or inconsistent."""


class MissingPart(DeliveryError):
    """The manifest names a file that is not there."""


class UnlistedPart(DeliveryError):
    """A file lies in the delivery's folder that the manifest does not name."""


class TruncatedFile(DeliveryError):
    """A file ends before its format says it does."""


class RowCountMismatch(DeliveryError):
    """The manifest counts other rows than came."""


class UnreadableFile(DeliveryError):
    """A file is not what its name and format promise."""


class OversizedFile(DeliveryError):
    """A packed file unpacks to more than the limits allow."""


class EmptyDelivery(DeliveryError):
    """No rows where rows were expected."""


class BadValue(DeliveryError):
    """A cell is not a value of its column's type."""


class UnknownModel(DeliveryError):
    """Usage of a model that no price list knows."""


class WrongPeriod(DeliveryError):
    """Rows of a billing period that the manifest does not announce."""


class ShrunkenDelivery(DeliveryError):
    """A redelivery has far less in it than the one it would replace."""


class ChangedUnit(DeliveryError):
    """A known SKU is measured in blocks of another size."""
