"""From a payload of plain Python values to the text of the page.

The payload, all of it ready for JSON; a number may be NaN or None where there is none:

| key | value |
|---|---|
| `title`, `command` | words; the exact command that made the sweep |
| `provenance`, `thresholds` | `[[name, value], …]` |
| `notes` | `[sentence, …]`, what a reader should be warned of |
| `runs` | `{column: [value per run, …]}`; with `run_id`, `status`, configuration and results |
| `axes` | columns that vary and can span a map, the preferred ones first |
| `measures` | columns that are results |
| `labels` | `{column: label}`, where the name of a column is not label enough |
| `metrics` | `[{"name", "label", "log": bool, "scale"}, …]`, what a map can show |
| a scale | "probability", "time", "diverging" or "plain", which says the colours |
| `maps` | `[{"x", "y": columns, "xs", "ys": levels, "layers": {metric: layer}}, …]` |
| a layer | `{"values", "text", "censored"}`, each with a row per level of `y` |
| `boundary` | None, or `{"x", "y": columns, "curve", "band": [polyline, …]}` in data units |
| `curves` | `{"step_unit", "metrics", "runs": {run_id: {"step": […], metric: […]}}}`, thinned out |
| `curves_note` | optional; why some runs have no curves |
| `measured` | optional; `{"names": [measure, …], "runs": {run_id: {"step": […], measure: […]}}}` |
| `tables` | `[{"title", "columns", "rows"}, …]`, shown as they come |

Nothing in it is trusted: words reach the page as text and never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any

SCRIPTS = (
    "common.js",
    "look.js",
    "scales.js",
    "run.js",
    "map.js",
    "curves.js",
    "measured.js",
    "filters.js",
    "parallel.js",
    "table.js",
    "fragment.js",
    "main.js",
)
"""One after the other; the first defines what all share, the last starts the others."""
LIBRARY = "plotly.min.js"
"""File beside the page with what draws its plots, most of what there is to load."""
CURVE_DIGITS = 5
"""More than a screen shows; it halves the page."""
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def render(payload: Mapping[str, Any]) -> str:
    """The whole page as one HTML text; see the module for what `payload` holds."""
    ours = "\n".join(_part(name) for name in SCRIPTS)
    script = _as_parsed(f'(() => {{\n"use strict";\n{ours}\n}})();')
    # Template looks at the page alone, not at what it inserts: data cannot become a placeholder.
    return Template(_part("page.html")).substitute(
        title=html.escape(str(payload["title"])),
        script_hash=_hash(script),
        style=_part("explorer.css"),
        payload=_embedded(payload),
        explorer=script,
    )


def library() -> str:
    """The text of `plotly.min.js`, which has to lie beside the page."""
    from plotly.offline import get_plotlyjs

    text: str = get_plotlyjs()
    return text


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _as_parsed(script: str) -> str:
    """The script with the line ends that an HTML parser gives it: its hash is taken of those."""
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _hash(script: str) -> str:
    """What the security policy lets run: this very script and no other."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _embedded(payload: Mapping[str, Any]) -> str:
    """JSON that can stand inside a script element, whatever words are in it."""
    series = {name: payload[name] for name in ("curves", "measured") if name in payload}
    for name, each in series.items():
        runs = {run_id: _shortened(curve) for run_id, curve in each["runs"].items()}
        series[name] = {**each, "runs": runs}
    whole = _cleaned({**payload, **series})
    text = json.dumps(whole, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.translate(ESCAPES)


def _shortened(curve: Mapping[str, Any]) -> dict[str, list]:
    return {
        name: [float(f"{v:.{CURVE_DIGITS}g}") if isinstance(v, float) else v for v in values]
        for name, values in curve.items()
    }


def _cleaned(value: Any) -> Any:
    """The same value with null for numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(inner) for inner in value]
    return value
