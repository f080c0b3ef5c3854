"""Make the FOCUS validator's own environment: it needs Python >= 3.12 and pins that the project cannot share.

Data flow: an interpreter found on this machine + requirements.txt → FOLDER (default .focus-validator).
Run: `.venv/bin/python tests/focus_validator/install.py [FOLDER]`; says so where no such Python is, and ends well, for the
tests that need it skip with their reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VERSIONS = ("3.12", "3.13")


def candidates() -> Iterator[Path]:
    """Interpreters by name on PATH, then those of pyenv, whose shims on PATH fail for versions that are not active."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        yield from (folder / f"python{version}" for folder in folders)
        yield from sorted(pyenv.glob(f"{version}*/bin/python{version}"))


def usable(interpreter: Path) -> bool:
    """Whether it starts and is new enough."""
    if not interpreter.exists():
        return False
    check = [str(interpreter), "-c", "import sys; sys.exit(sys.version_info < (3, 12))"]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def main() -> int:
    """Create the environment and install the pins, unless it is there."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".focus-validator")
    if (folder / "bin" / "focus-validator").exists():
        return 0
    interpreter = next(filter(usable, candidates()), None)
    if interpreter is None:
        print(f"FOCUS validator not installed: no Python {' or '.join(VERSIONS)} here; its tests will skip", file=sys.stderr)
        return 0
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", str(interpreter), str(folder)], check=True)
    pins = Path(__file__).with_name("requirements.txt")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "-r", str(pins)], check=True)
    print(f"FOCUS validator ready in {folder} ({interpreter})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
