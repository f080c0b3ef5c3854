"""First step of the stack: bring Airflow's database up to date and write the administrator's password for the api-server.

Data flow: AIRFLOW_ADMIN_PASSWORD → the passwords file of Airflow's simple auth manager, readable by its owner alone.
Run alone: docker compose run --rm airflow-init
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path


def main() -> None:
    """Migrate, then replace the passwords file in one step."""
    subprocess.run(["airflow", "db", "migrate"], check=True)
    target = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    target.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = target.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}, file)
    fresh.replace(target)


if __name__ == "__main__":
    main()
