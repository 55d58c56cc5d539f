"""What the README shows runs as it stands.

A fence may be preceded by `<!-- tested with ARGUMENTS -->`, which a page does not show: the
commands in it are then run with these further arguments, so that they do not train for minutes.
"""

import re
import runpy
import shlex
import subprocess
from pathlib import Path

import pytest

from grokjax import __main__ as command

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(
    r"^(?:<!-- tested with (?P<more>.*?) -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FENCES = list(FENCE.finditer(TEXT))
BLOCKS = [fence["body"] for fence in FENCES if fence["language"] == "python"]
COMMANDS = [
    (part.strip(), fence["more"] or "")
    for fence in FENCES
    if fence["language"] in ("", "console", "bash")
    for line in fence["body"].splitlines()
    for part in line.removeprefix("$ ").split("&&")
    if re.match(r"(python -m grokjax|grokjax)\b", part.strip())
]
"""Command line, further arguments: what of the README's commands is ours."""


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[-1][:40])
def test_a_block_of_python_runs(block, checkout):
    (checkout / "rows.csv").write_text("x1,x2,y\n0.5,1.0,0\n1.5,0.0,1\n2.5,1.0,0\n3.5,0.0,1\n")
    (checkout / "results" / "quickstart").symlink_to(ROOT / "results" / "recorded" / "quickstart")
    (checkout / "block.py").write_text(block)
    runpy.run_path("block.py")


def words(line):
    """The words of a command line after `grokjax`, whichever way it is called."""
    return shlex.split(re.sub(r"^(python -m grokjax\.?|grokjax) *", "", line))


@pytest.mark.parametrize(("line", "more"), COMMANDS, ids=[line for line, _ in COMMANDS])
def test_a_command_runs(line, more, checkout):
    assert command.main([*words(line), *shlex.split(more)]) == 0


def test_the_readme_shows_commands_and_python():
    assert len(BLOCKS) >= 4
    assert any(line.startswith("grokjax ") for line, _ in COMMANDS)


PAGES = [*ROOT.glob("*.md"), ROOT / "results" / "README.md", *(ROOT / "docs").rglob("*.md")]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page):
    """In a fresh clone, that is: recorded curves and figures are committed with --force."""
    links = [page.parent / link for link in LINK.findall(page.read_text(encoding="utf-8"))]
    assert not [link for link in links if not link.exists()]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:  # no checkout else
        kept = {ROOT / name for name in listed.stdout.splitlines()}
        kept |= {folder for path in kept for folder in path.parents}
        assert not [link for link in links if link.resolve() not in kept]


def flags(text):
    """Every `--flag` of a text."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+(?:\.[a-z-]+)*", text))


def test_every_flag_of_a_command_is_one(capsys):
    known = {"--help", "--version"}
    for name in command.COMMANDS:
        with pytest.raises(SystemExit):
            command.main([name, "--help"])
        known |= flags(capsys.readouterr().out)
    rows = re.findall(r"`((?:python -m grokjax|grokjax|…) ?[^`]*--[^`]*)`", TEXT)
    assert rows
    for row in rows:
        assert flags(row) <= known, row
