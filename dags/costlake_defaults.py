"""What all our Airflow DAGs have in common: who owns a task, and when it is tried again.

Retryable or fatal is a type (costlake/errors.py): a FatalError fails at once, everything else is tried again with growing pauses.
"""

from datetime import timedelta

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from costlake.errors import FatalError

DEFAULTS = {
    "owner": "data-platform",
    "retries": 3,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=30),
    "retry_policy": ExceptionRetryPolicy([RetryRule(FatalError, RetryAction.FAIL, reason="trying again cannot help: somebody has to act")]),
    "execution_timeout": timedelta(hours=2),
}
