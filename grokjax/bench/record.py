"""Records of what was measured: one file a date and machine, none overwritten."""

from __future__ import annotations

import datetime
import platform
import re
from pathlib import Path
from typing import Any

from grokjax.results.files import write_json
from grokjax.results.manifest import provenance


def machine() -> str:
    """The processor's name, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8"), re.M)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def described(device: str, cores: int, precision: str, command: str) -> dict[str, Any]:
    """Where, when and with what."""
    about = provenance(device, precision, command)
    return {**about, "processor": machine(), "cores": cores}


def write(folder: Path, record: dict[str, Any]) -> Path:
    """Write a record under a new name in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    where = record["device"]["kind"] if record["device"]["kind"] != "cpu" else record["processor"]
    slug = re.sub(r"[^a-z0-9]+", "-", where.lower()).strip("-")
    stem = f"{datetime.date.today().isoformat()}-{slug}-{record['cores']}"
    number = 1
    while (path := folder / f"{stem}-{number}.json").exists():
        number += 1
    write_json(path, record)
    return path
