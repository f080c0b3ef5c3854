"""The seeded demo estate: seed → vendor files in the vendors' real layouts, with control totals to check every layer against.

Run alone: python -c "from pathlib import Path; from ingest.demo import write_demo; write_demo(Path('demo'), progress=print)"
"""

from ingest.demo.estate import DemoEstate, write_demo

__all__ = ["DemoEstate", "write_demo"]
