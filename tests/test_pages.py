"""What the README and the pages of docs/ show runs as it stands, and leads where it says.

A page is one story: its blocks run in their order, in one folder and with one set of names.

- `python` runs; with a title, `python title="mine.py"`, it is a file that is written, as are `csv`
  and `text` with one.
- Of `bash` the lines run that call grokjax, or a file of the page by `python FILE`.
- Blocks without a language, or with another one, are only shown.

A comment above a fence, which a page does not show, may say more: `<!-- tested with ARGUMENTS -->`
gives these further arguments to the commands, so that they do not train for minutes, and
`<!-- not run: WHY -->` leaves a block out, `<!-- needs torch -->` where that is not installed.
"""

import functools
import importlib.util
import re
import runpy
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

import grokjax
from grokjax import __main__ as command
from grokjax.figures import gallery, registry

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), ROOT / "results" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?:<!-- (?P<note>[^>]*?) -->\n)?"
    r'```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
OURS = re.compile(r"(python -m grokjax|grokjax)\b")
FILES = ("python", "csv", "text", "json")
"""Languages of blocks that may have a title and are then written."""
named = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@functools.cache
def text_of(page):
    return page.read_text(encoding="utf-8")


def fences(page):
    found = [match.groupdict() for match in FENCE.finditer(text_of(page))]
    return [f for f in found if not left_out(f["note"] or "")]


def left_out(note):
    needed = note.removeprefix("needs ") if note.startswith("needs ") else None
    return note.startswith("not run: ") or (needed and not importlib.util.find_spec(needed))


def commands(fence):
    """The command lines of a block that are ours, or run a file of Python."""
    lines = re.sub(r"\\\n\s*", " ", fence["body"]).splitlines()
    parts = [part.strip() for line in lines for part in line.removeprefix("$ ").split("&&")]
    return [part for part in parts if OURS.match(part) or re.match(r"python \S+\.py", part)]


def runs(fence):
    return fence["language"] == "python" or (fence["language"] == "bash" and commands(fence))


def words(line):
    """The words of a command line after `grokjax`, whichever way it is called."""
    return shlex.split(re.sub(r"^(python -m grokjax\.?|grokjax) *", "", line), comments=True)


def run_command(line, more):
    """Run it; no figures, which take most of a report's time and have tests of their own."""
    if OURS.match(line):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(registry, "KINDS", {})
            assert command.main([*words(line), *more]) == 0, line
    else:
        runpy.run_path(shlex.split(line)[1])


STORIES = [page for page in PAGES if any(runs(fence) for fence in fences(page))]


@pytest.mark.parametrize("page", STORIES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_runs(page, checkout, monkeypatch):
    (checkout / "results" / "quickstart").symlink_to(ROOT / "results" / "recorded" / "quickstart")
    # A page may add figures; ours are there once the gallery is.
    monkeypatch.setattr(gallery, "KINDS", dict(gallery.KINDS))
    monkeypatch.setattr(registry, "KINDS", gallery.KINDS)
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for at, fence in enumerate(fences(page)):
        note, language = fence["note"] or "", fence["language"]
        if fence["title"] and language in FILES:
            (checkout / fence["title"]).write_text(fence["body"], encoding="utf-8")
        elif language == "python":
            file = checkout / f"block_{at}.py"  # where the source of a word is read
            file.write_text(fence["body"], encoding="utf-8")
            module.__file__ = str(file)
            exec(compile(fence["body"], file, "exec"), vars(module))
        elif language == "bash":
            more = shlex.split(note.removeprefix("tested with ")) if "tested with " in note else []
            for line in commands(fence):
                run_command(line, more)


def test_the_readme_is_what_one_reads_first():
    readme = text_of(ROOT / "README.md")
    assert len(readme.splitlines()) <= 150
    first, second = (f for f in fences(ROOT / "README.md") if f["language"] == "bash")
    assert "grokjax" in first["body"] and "grokjax" in second["body"]
    assert re.search(r"^pip install .*python -m pytest$", readme, re.MULTILINE)  # .ci/run takes it


LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@named
def test_what_a_page_links_to_is_there(page):
    """In a fresh clone, that is: recorded curves and figures are committed with --force."""
    links = [page.parent / link for link in LINK.findall(FENCE.sub("", text_of(page)))]
    assert not [link for link in links if not link.exists()]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:  # no checkout else
        kept = {ROOT / name for name in listed.stdout.splitlines()}
        kept |= {folder for path in kept for folder in path.parents}
        assert not [link for link in links if link.resolve() not in kept]


def flags(text):
    """Every `--flag` of a text."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+(?:\.[a-z-]+)*", text))


SHOWN = re.compile(r"`((?:python -m grokjax|grokjax|…) ?[^`]*--[^`]*)`")


@pytest.fixture
def known_flags(capsys):
    """Those of all commands, which their help names."""
    known = {"--help", "--version"}
    for name in command.COMMANDS:
        with pytest.raises(SystemExit):
            command.main([name, "--help"])
        known |= flags(capsys.readouterr().out)
    return known


def test_every_flag_of_a_command_is_one(known_flags):
    rows = {row: page for page in PAGES for row in SHOWN.findall(text_of(page))}
    for page in PAGES:
        rows |= {line: page for f in fences(page) for line in commands(f) if OURS.match(line)}
    assert len(rows) > 50
    unknown = {row: flags(row) - known_flags for row in rows if flags(row) - known_flags}
    assert not unknown


def test_the_reference_has_every_public_name():
    """Each module that public names come from is on a page of the reference."""
    pages = [text_of(page) for page in (ROOT / "docs" / "reference").glob("api-*.md")]
    shown = {name for page in pages for name in re.findall(r"^::: ([\w.]+)", page, re.MULTILINE)}
    for name in grokjax.__all__:
        if name == "OPERATIONS":  # a list of words, not a word
            continue
        at = getattr(grokjax, name)
        module = getattr(at, "__module__", "")
        assert {module, f"{module}.{name}", at.__name__} & shown, name
