"""Write docs/a_day.ipynb from docs/a_day.py, whose `# %%` cells are easier to read and to change.

    python tools/notebook.py docs/a_day.py docs/a_day.ipynb

A cell that begins with `# %% [markdown]` is text. Outputs are not stored: tests/test_notebook.py
executes the notebook.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def cells_of(script: str) -> Iterator[tuple[bool, str]]:
    """Each cell of a script: whether it is text, and what stands in it."""
    for part in script.split("# %%")[1:]:
        head, _, body = part.partition("\n")
        if is_text := "[markdown]" in head:
            body = re.sub("^# ?", "", body, flags=re.MULTILINE)
        yield is_text, body.strip()


def notebook(script: str) -> Any:
    """The notebook of a script's cells, without outputs."""
    from nbformat import v4

    cells = []
    for at, (is_text, body) in enumerate(cells_of(script)):
        cell = v4.new_markdown_cell(body) if is_text else v4.new_code_cell(body)
        cell["id"] = f"cell-{at}"  # the same again gives the same file
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


if __name__ == "__main__":
    import nbformat

    source, target = map(Path, sys.argv[1:])
    nbformat.write(notebook(source.read_text(encoding="utf-8")), target)
