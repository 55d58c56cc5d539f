"""Write docs/a_day.ipynb from docs/a_day.py, whose `# %%` cells are easier to read and to change.

    python tools/notebook.py docs/a_day.py docs/a_day.ipynb

A cell that begins with `# %% [markdown]` is text. Outputs are not stored: tests/test_notebook.py
executes the notebook.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4


def notebook(script: str) -> Any:
    """The notebook of a script's cells, without outputs."""
    cells = []
    for at, part in enumerate(script.split("# %%")[1:]):
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            text = "\n".join(line.removeprefix("# ").removeprefix("#") for line in body.split("\n"))
            cell = v4.new_markdown_cell(text.strip())
        else:
            cell = v4.new_code_cell(body.strip())
        cell["id"] = f"cell-{at}"  # the same again gives the same file
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    nbformat.write(notebook(source.read_text(encoding="utf-8")), target)
