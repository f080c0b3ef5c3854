"""The assets that wire our Airflow DAGs together, and the exports that each ingest DAG pulls and loads.

Data flow: config/accounts.yml → source → export ids. Not `ingest.source.all_sources()`: that imports pyarrow, which a DAG parser that
forks must not hold; and a source without an export would be a DAG without a task.
"""

from airflow.sdk import Asset

from costlake.config import load_accounts
from costlake.settings import Settings

_configured = load_accounts(Settings.load().config_dir / "accounts.yml").exports

EXPORTS = {source: [export.id for export in _configured if export.source == source] for source in sorted({e.source for e in _configured})}
PULLED = {source: [export.id for export in _configured if export.source == source and export.pull] for source in EXPORTS}
BRONZE = {source: Asset(f"costlake://bronze/{source}") for source in EXPORTS}
MARTS = Asset("costlake://marts")
INSIGHTS = Asset("costlake://insights")
