"""What mkdocs adds to the pages of `docs/` when it builds the site, so that nothing is kept twice.

- Files of the repository that pages link to become pages of the site, and links lead to them.
- `<!-- figure NAME: what it shows -->` above a block of Python runs the block and puts the figure
  that its last line gives below it.
- `<!-- help of sweep -->` is replaced with what `grokjax sweep --help` prints.
- `docs/a_day.py` becomes the page of the notebook.
- Tables of text can be read on a phone, lines do not break inside of an option or before its %,
  and sums and powers have their indices where they belong.
"""

from __future__ import annotations

import ast
import contextlib
import html
import io
import itertools
import os
import posixpath
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `tools`, wherever mkdocs was started from
from tools.notebook import cells_of  # noqa: E402 - only now it can be found

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "results/README.md": "results.md",
}
"""File of the repository → its page of the site."""
ELSEWHERE = {"README.md": "index.md", "docs/a_day.ipynb": "a_day.md"}
"""File of the repository → the page of the site that says the same."""
LANGUAGES = {".py": "python", ".json": "json", ".yaml": "yaml", ".toml": "toml", ".txt": "text"}
SHOWN_IN_FULL = 60_000
"""Bytes of a file that becomes a page; larger ones are copied."""

LINK = re.compile(r"(\]\()([^)#\s:]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(
    r"^(?:<!-- figure (?P<name>[\w-]+): (?P<about>.*?) -->\n)?"
    r"(?P<fence>```python\n(?P<body>.*?)^```)$",
    re.MULTILINE | re.DOTALL,
)
HELP = re.compile(r"^<!-- help of (?P<command>[\w ]+) -->$", re.MULTILINE)
DOTS_AN_INCH = 160
HELP_COLUMNS = 92

TAG = re.compile(r"(<[^>]+>)")
KEPT = re.compile(r"<(/?)(?:pre|code|script|style|svg)\b")
HYPHENED = re.compile(r"[\w.()\[\]='+]*[-…][\w.()\[\]='+…-]*")
UNIT = re.compile(
    r"(?<=\d) (?=(?:%|×(?! ?\d)|(?:ms|s|MB|GB|MiB|GiB)\b))|(?<=±) (?=\d)|(?<=\d,) (?=[-−\d.…]+\])"
)
"""Spaces inside of a number: before its unit, after ±, and between the limits of an interval."""
INDEX = re.compile(r"_\{([^{}]*)\}")
POWER = re.compile(r"\^(?:\{([^{}]*)\}|(\([^()]*\)|\w+))")
TITLE = re.compile(r"(<h1[^>]*>)([^<]*)")
TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
CELL = re.compile(r"<(t[hd])\b([^>]*)>(.*?)</\1>", re.DOTALL)
LONG = 24
"""Characters of a cell that is text rather than a number or a name."""

origins: dict[str, str] = {}
"""Page of the site → the file of the repository that it is made of, where that is not in docs/."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made of files outside of docs/, and all that pages link to."""
    for source, page in PAGES.items():
        _add(files, config, page, (ROOT / source).read_text(encoding="utf-8"), source)
    _add(files, config, "a_day.md", _notebook_page(), "docs/a_day.py")
    waiting = [file.src_uri for file in files.documentation_pages()]
    while waiting:
        page = waiting.pop()
        file = files.get_file_from_path(page)
        assert file is not None
        for link in LINK.findall(FENCE.sub("", file.content_string)):
            target = _repository_path(page, link[1])
            at = _site_path(target)
            if files.get_file_from_path(at) or not (ROOT / target).exists():
                continue  # what is not there mkdocs warns of
            if _add_source(files, config, at, target):
                waiting.append(at)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Run the blocks of figures, ask commands for their help, lead links to pages of the site."""
    if "<!-- figure " in markdown:
        markdown = _with_figures(markdown, page, config, files)
    markdown = HELP.sub(lambda match: f"```text\n{_help(match['command'])}\n```", markdown)

    def led(match: re.Match[str]) -> str:
        target = _site_path(_repository_path(page.file.src_uri, match[2]))
        if files.get_file_from_path(target) is None:
            return match[0]
        return f"{match[1]}{_relative(target, page.file.src_uri)}{match[3] or ''}{match[4]}"

    parts, last = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [LINK.sub(led, markdown[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, LINK.sub(led, markdown[last:])])


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Keep together what belongs together, and make tables of text readable on a phone."""
    parts = TAG.split(content)
    inside: list[str] = []
    for at, part in enumerate(parts):
        if kept := KEPT.match(part):
            inside = inside[:-1] if kept[1] else [*inside, part]
        elif part.startswith("<"):
            continue
        elif not inside:
            part = INDEX.sub(r"<sub>\1</sub>", UNIT.sub("\N{NO-BREAK SPACE}", part))
            parts[at] = POWER.sub(lambda m: f"<sup>{m[1] or m[2].strip('()')}</sup>", part)
        elif len(inside) == 1 and inside[0].startswith("<code"):
            parts[at] = HYPHENED.sub(_on_one_line, part)
    content = TITLE.sub(
        lambda title: f"{title[1]}{title[2].replace('/', '/<wbr>')}", "".join(parts)
    )
    return TABLE.sub(_readable, content)


def _on_one_line(word: re.Match[str]) -> str:
    """A part of code that a hyphen or an ellipsis is in; long ones may break, a sign cannot."""
    return f"<span>{word[0]}</span>" if 1 < len(word[0]) <= 32 else word[0]


def _readable(match: re.Match[str]) -> str:
    """A table with the heads of its columns in its cells, if a phone should show rows as lists."""
    table = match[0].replace(r"\|", "|")  # Python-Markdown leaves the escape in code
    rows = [[_text(cell[2]) for cell in CELL.findall(row)] for row in ROW.findall(table)]
    if len(rows) < 2:
        return table
    heads, columns = rows[0], list(zip(*rows[1:], strict=True))
    texts = [max(map(len, column)) > LONG for column in columns]
    name = max(len(word) for cell in columns[0] for word in cell.split() or [""])
    stacked = {2: all(texts) and name >= LONG, 3: any(texts[1:])}.get(len(heads), sum(texts) > 1)

    def cell_of(cell: re.Match[str], head: str) -> str:
        labelled = stacked and head and len(heads) > 2
        more = f' data-head="{html.escape(head)}"' if labelled else ""
        if not stacked and len(_text(cell[3])) > LONG and len(heads) > 2:
            more = " data-long"
        return f"<{cell[1]}{cell[2]}{more}>{cell[3]}</{cell[1]}>"

    def row_of(row: re.Match[str]) -> str:
        labels = iter(["", *heads[1:]])
        return CELL.sub(lambda cell: cell_of(cell, next(labels)), row[0])

    head, body = table.split("</thead>")
    return f"{head.replace('<table>', '<table data-stacked>') if stacked else head}</thead>" + (
        ROW.sub(row_of, body)
    )


def _text(cell: str) -> str:
    return html.unescape(TAG.sub("", cell)).strip()


def _with_figures(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Run the blocks of a page one after another, and show the figures of those that are marked."""
    names: dict[str, Any] = {}

    def run(match: re.Match[str]) -> str:
        name = match["name"]
        where = f"{page.file.src_uri}, {name or 'a block'}"
        tree = ast.parse(match["body"], where)
        last = tree.body.pop()
        with contextlib.chdir(ROOT):  # blocks name files as one does in a checkout
            exec(compile(tree, where, "exec"), names)
            if not name:
                exec(compile(ast.Module([last], []), where, "exec"), names)
                return match[0]
            assert isinstance(last, ast.Expr), f"{where}: the last line gives no figure"
            value = eval(compile(ast.Expression(last.value), where, "eval"), names)
        at = f"figures/{name}.png"
        files.append(File.generated(config, at, content=_picture(value)))
        link = _relative(at, page.file.src_uri)
        return f"{match['fence']}\n\n[![{match['about']}]({link})]({link})"

    return BLOCK.sub(run, markdown)


def _repository_path(page: str, link: str) -> str:
    """The file of the repository that a link of a page means, as the repository's pages read it."""
    base = posixpath.dirname(origins.get(page, f"docs/{page}"))
    return posixpath.normpath(posixpath.join(base, link))


def _site_path(target: str) -> str:
    """Where a file of the repository is on the site."""
    known = {**PAGES, **ELSEWHERE}
    if target in known:
        return known[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    path = ROOT / target
    if path.is_dir():
        return f"repository/{target}/index.md"
    if path.suffix in LANGUAGES and path.exists() and path.stat().st_size <= SHOWN_IN_FULL:
        return f"repository/{target}.md"
    return f"repository/{target}"


def _add_source(files: Files, config: MkDocsConfig, at: str, target: str) -> bool:
    """Add a file of the repository; whether it is a page with links of its own."""
    path = ROOT / target
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if not p.name.startswith(("_", ".")))
        text = f"# {target}\n\n" + "\n".join(f"- [{name}]({name})" for name in names) + "\n"
        _add(files, config, at, text, f"{target}/index.md")
        return True
    if path.suffix == ".md":
        _add(files, config, at, path.read_text(encoding="utf-8"), target)
        return True
    if at.endswith(".md"):
        code = path.read_text(encoding="utf-8")
        text = f"# {target}\n\n```{LANGUAGES[path.suffix]}\n{code}\n```\n"
        _add(files, config, at, text, target)
        return False
    files.append(File.generated(config, at, abs_src_path=str(path)))
    return False


def _add(files: Files, config: MkDocsConfig, at: str, text: str, source: str) -> None:
    files.append(File.generated(config, at, content=text))
    origins[at] = source


def _relative(target: str, page: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def _picture(drawn: Any) -> bytes:
    """The PNG of what a figure function has given."""
    from grokjax.figures import style
    from grokjax.figures.drawn import figure_of

    file = io.BytesIO()
    with style.paper():
        figure_of(drawn).savefig(file, format="png", dpi=DOTS_AN_INCH, metadata={"Software": None})
    return file.getvalue()


def _help(command: str) -> str:
    """What a command says of itself, without the frames that a terminal shows."""
    run = subprocess.run(
        [sys.executable, "-m", "grokjax", *command.split(), "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(HELP_COLUMNS), "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = []
    for line in run.stdout.splitlines():
        if re.match(r"[╰│] ?─+ ?[╯│]", line):
            continue
        heading = re.match(r"╭─ (.*?) ─+╮", line)
        text = f"\n{heading[1]}:" if heading else re.sub(r"^│ |\s*│$", "", line)
        lines.append(text.rstrip() if heading or not line.startswith("│") else f"  {text.rstrip()}")
    return "\n".join(_wrapped(lines)).strip()


def _wrapped(lines: list[str]) -> Iterator[str]:
    """Lines of help as paragraphs: its texts come with the line ends of their source."""
    for indent, group in itertools.groupby(lines, lambda line: len(line) - len(line.lstrip())):
        if indent < 6:
            yield from group
        else:
            space = " " * indent
            text = " ".join(line.strip() for line in group)
            yield from textwrap.wrap(
                text, HELP_COLUMNS - 2, initial_indent=space, subsequent_indent=space,
                break_on_hyphens=False,
            )  # fmt: skip


def _notebook_page() -> str:
    """The notebook as text: its cells of Markdown, and of code in blocks."""
    cells = cells_of((ROOT / "docs" / "a_day.py").read_text(encoding="utf-8"))
    return "\n\n".join(text if is_text else f"```python\n{text}\n```" for is_text, text in cells)
