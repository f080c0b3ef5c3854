"""A recording of NVML: every call of the collector on a real host with what came back, and a library that replays it.

Data flow: pynvml on a GPU host → `RecordingLibrary` → JSON file → `RecordedLibrary`, which stands where the module `pynvml` stands. Both
take exceptions and constants from the real module (nvidia-ml-py needs no driver to be imported), so code under test meets the types it
will meet in production. A call is found again by name and arguments; calls of the same kind give their results in order, then the last
one again. Process ids and UUIDs are in a recording, names of processes and users are not: the collector never asks for them.
Run alone: python -m streams.nvml_recording recording.json   (on a host with an NVIDIA GPU)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from costlake.errors import FatalError

Key = tuple[str, str]


class RecordingMissing(FatalError):
    """The code asks NVML something that the recording does not hold."""


class RecordingLibrary:
    """Passes calls on to the real library and writes down what it said.

    Args:
        library: the module `pynvml`.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._handles: dict[int, str] = {}
        self._calls: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._library, name)
        if not name.startswith("nvml") or not callable(value) or isinstance(value, type):
            return value

        def call(*arguments: Any) -> Any:
            entry: dict[str, Any] = {"call": name, "arguments": [self._plain(each) for each in arguments]}
            self._calls.append(entry)
            try:
                result = value(*arguments)
            except self._library.NVMLError as error:
                entry["error"] = type(error).__name__
                raise
            entry["result"] = self._plain(result)
            return result

        return call

    def _plain(self, value: Any) -> Any:
        if value is None or isinstance(value, (int, str, float)):
            return value
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, (list, tuple)):
            return [self._plain(each) for each in value]
        fields = getattr(value, "_fields_", None)
        names = [field[0] for field in fields] if fields is not None else list(getattr(value, "__dict__", {}))
        if names:
            return {"struct": {name: self._plain(getattr(value, name)) for name in names}}
        # An opaque handle: a pointer, told apart by what it points to.
        address = int.from_bytes(bytes(value), sys.byteorder)
        return {"handle": self._handles.setdefault(address, f"handle-{len(self._handles)}")}

    def save(self, path: Path, note: str) -> None:
        """Write the recording; `note` says on what it was made."""
        path.write_text(json.dumps({"note": note, "calls": self._calls}, indent=1) + "\n", encoding="utf-8")


class RecordedLibrary:
    """Replays a recording in the place of the module `pynvml`.

    Args:
        recording: a recording's content.
        library: the module `pynvml`, for exceptions, constants and to know which functions there are.
    """

    def __init__(self, recording: dict[str, Any], library: Any) -> None:
        self._library = library
        self._results: dict[Key, list[dict[str, Any]]] = {}
        for entry in recording["calls"]:
            self._results.setdefault(_key(entry["call"], entry["arguments"]), []).append(entry)
        self.note = str(recording["note"])

    @classmethod
    def load(cls, path: Path, library: Any) -> RecordedLibrary:
        """Read a recording from its file."""
        return cls(json.loads(path.read_text(encoding="utf-8")), library)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._library, name)  # what the real library does not have, its recording does not have either
        if not name.startswith("nvml") or not callable(value) or isinstance(value, type):
            return value
        return self._replay(name)

    def _replay(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            entries = self._results.get(_key(name, [_named(each) for each in arguments]))
            if not entries:
                raise RecordingMissing(
                    f"the recording has no {name}{arguments}",
                    where=self.note,
                    expected="a recording made with this version of the collector",
                    next_step="record anew on a GPU host: python -m streams.nvml_recording recording.json",
                )
            entry = entries.pop(0) if len(entries) > 1 else entries[0]
            if "error" in entry:
                # nvidia-ml-py makes the subclass from the code that a plain NVMLError would carry.
                kind = getattr(self._library, entry["error"])
                raise kind()
            return _object(entry["result"])

        return call


def _key(name: str, arguments: list[Any]) -> Key:
    if name == "nvmlDeviceGetProcessUtilization":
        arguments = arguments[:1]  # the second argument is a time, which no two runs share
    return name, json.dumps(arguments, sort_keys=True)


def _named(argument: Any) -> Any:
    return {"handle": argument.handle} if isinstance(argument, _Handle) else argument


class _Handle(SimpleNamespace):
    handle: str


def _object(value: Any) -> Any:
    if isinstance(value, list):
        return [_object(each) for each in value]
    if isinstance(value, dict):
        if "handle" in value:
            return _Handle(handle=value["handle"])
        return SimpleNamespace(**{name: _object(each) for name, each in value["struct"].items()})
    return value


def main() -> None:
    """Record two looks of the collector at this host's GPUs."""
    import pynvml

    from streams.nvml import NvmlHost

    library = RecordingLibrary(pynvml)
    host = NvmlHost(library)
    first = host.read()
    host.read()
    note = f"driver {host.driver_version}, {len(first)} accelerators: {', '.join(sorted({str(each['model_name']) for each in first}))}"
    host.close()
    library.save(Path(sys.argv[1]), note)


if __name__ == "__main__":
    main()
