"""`docs/atlas.md`: the claims as a table that one can sort, and what decided each."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from typing import Any

from grokjax.atlas import files, record
from grokjax.atlas.claim import HERE_ONLY, VERDICTS, Claim

HEAD = """# The atlas: what is said of grokking, measured

Each row is a published claim with an experiment that can decide it in a small setting. Sentence,
thresholds, experiment and the function that computes the verdict are a file that was committed
before its runs; a verdict keeps the hash of that file. Effects have 95 % intervals over seeds,
runs that have not grokked count as censored, and what lies between confirming and refuting is
*not decided*. A verdict is about the setting here: small networks and tables, a learning rate
that makes everything early. It says whether a sentence holds in general enough to be seen there,
and does not judge a paper's own experiments. Fifty intervals at 95 % miss two or three truths.

The sentences were written from abstracts, from memory, and from what is commonly said. Each source
was then looked up, and what a sentence changes or leaves out stands below it, after *the source,
read again* and how that was read: in the paper's *text*, in *excerpts* or *notes* of others, in its
*code*, in its *abstract*, or in *memory* alone. "Ours" says that no paper that was read states it.
A verdict is on the sentence as it stands here.

`python -m grokjax.atlas` lists the claims and what is stale, `python -m grokjax.atlas run NAME`
trains and decides one again, and `python -m grokjax.atlas page` writes this page. A click on the
head of a column sorts by it. What one of them has found, the zone over decay, fraction and learning
rate, has [a page of its own](zone-over-rates.md).
"""
SCRIPT = """<script>
document.querySelectorAll("table.atlas th").forEach((head, at) => {
  head.style.cursor = "pointer";
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const up = head.dataset.up = head.dataset.up === "1" ? "0" : "1";
    const key = (row) => row.cells[at].dataset.key ?? row.cells[at].textContent;
    const rows = [...body.rows].sort((a, b) =>
      key(a).localeCompare(key(b), undefined, { numeric: true }) * (up === "1" ? 1 : -1));
    body.append(...rows);
  });
});
</script>
"""
COLUMNS = ("claim", "verdict", "effect, 95 %", "unit", "seeds a cell", "run-steps", "topic")


def write(claims: Mapping[str, Claim]) -> str:
    """Write the page; what it says of how many claims."""
    told = {name: record.read(name) for name in claims}
    sources = files.sources()
    order = sorted(claims, key=lambda name: (claims[name].topic, name))
    rows = "\n".join(_row(name, claims[name], told[name]) for name in order)
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    parts = [
        HEAD,
        summary([record_ for record_ in told.values() if record_], len(claims)),
        '<table class="atlas">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n",
        SCRIPT,
        _surprises(told),
        *(_section(name, claims[name], told[name], sources.get(name)) for name in order),
    ]
    from grokjax.results.files import write_text

    write_text(files.PAGE, "\n".join(part for part in parts if part))
    return f"{len(claims)} claims, {sum(one is not None for one in told.values())} decided"


def summary(told: list[dict[str, Any]], n: int) -> str:
    """How many claims have which verdict, and what all have cost."""
    names = {HERE_ONLY: "confirmed here only under a condition"}
    counts = ", ".join(
        f"{sum(one['verdict'] == verdict for one in told)} {names.get(verdict, verdict)}"
        for verdict in VERDICTS
    )
    steps = sum(one["cost"].get("run_steps", 0) for one in told)
    minutes = sum(one["cost"].get("cpu_s", 0.0) for one in told) / 60
    return (
        f"Of {n} claims {len(told)} have been run: {counts}. That took {steps / 1e6:.1f} million "
        f"updates and "
        f"{minutes:.0f} minutes of one processor core.\n"
    )


def _row(name: str, claim: Claim, told: dict[str, Any] | None) -> str:
    cell = html.escape
    link = f'<a href="#{name}">{cell(claim.sentence)}</a>'
    if told is None:
        values = ["not run", "", "", "", ""]
        keys = ["9", "", "", "", ""]
    else:
        low, high = told["seeds_a_cell"]
        effect = "" if told["effect"] is None else f"{told['effect']:g}"
        steps = told["cost"].get("run_steps", told["run_steps"])
        seeds = str(low) if low == high else f"{low}–{high}"
        shown = (record.verdict_text(told), record.effect_text(told), claim.unit, seeds)
        values = [*shown, f"{steps:,}"]
        keys = [str(VERDICTS.index(told["verdict"])), effect, claim.unit, str(low), str(steps)]
    pairs = [(link, claim.sentence), *zip(map(cell, values), keys, strict=True)]
    pairs.append((cell(claim.topic), claim.topic))
    cells = "".join(f'<td data-key="{cell(key)}">{value}</td>' for value, key in pairs)
    return f"<tr>{cells}</tr>"


def _surprises(told: Mapping[str, dict[str, Any] | None]) -> str:
    """What nobody expected, with the checks that exclude an accident."""
    found = [(name, one) for name, one in told.items() if one and one.get("surprise")]
    if not found:
        return ""
    items = [
        f"- [{one['claim']['sentence']}](#{name}) {one['surprise']}" + _checks(one)
        for name, one in found
    ]
    return "## Surprises\n\n" + "\n".join(items) + "\n"


def _checks(told: dict[str, Any]) -> str:
    """What came of doing it once more."""
    each = [
        f"{one['what']}: {one['verdict']}, {record.effect_text(one)}"
        for one in told.get("checks", [])
    ]
    return f" *Checked* ({'; '.join(each)})." if each else ""


def _section(
    name: str, claim: Claim, told: dict[str, Any] | None, source: dict[str, Any] | None
) -> str:
    """What was claimed, what decides it, what came out, and where to look."""
    lines = [
        f'<h2 id="{name}">{html.escape(claim.sentence)}</h2>',
        f"*Source.* {claim.source}",
        *([_source_read_again(source)] if source else []),
        f"*Setting.* {claim.setting}",
        f"*Confirmed if* {claim.confirms} *Contradicted if* {claim.refutes}",
    ]
    if told is None:
        return (
            "\n\n".join([*lines, f"**Not run.** [The file]({_link(files.path_of(name))})"]) + "\n"
        )
    seconds = told["cost"].get("cpu_s")
    cost = f", {seconds:.0f} CPU-seconds" if seconds else ""
    lines += [
        f"**{record.verdict_text(told).capitalize()}**: {record.effect_text(told)}, "
        f"{claim.unit}. {told['because']}",
        *([f"*Surprise.* {told['surprise']}"] if told.get("surprise") else []),
        *([_checks(told).strip()] if told.get("checks") else []),
    ]
    of = record.folder(name)
    if (of / files.FIGURE).exists():
        lines.append(f"![runs of {name} by cell]({_link(of / files.FIGURE)})")
    lines.append(
        f"{told['runs']} runs in {told['cells']} cells, "
        f"{told['cost'].get('run_steps', told['run_steps']):,} updates{cost}; "
        f"decided {told['decided'][:10]}. [The claim and its "
        f"experiment]({_link(files.path_of(name))}), "
        f"[its data]({_link(of / files.TABLE)}), [the record]({_link(of / files.VERDICT)})."
    )
    return "\n\n".join(lines) + "\n"


def _source_read_again(source: dict[str, Any]) -> str:
    """How the claim was checked against its source, and what came of it."""
    says = " ".join(source["says"].split())
    return f"*The source, read again* ({', '.join(source['checked'])}). {says}"


def _link(path: os.PathLike[str]) -> str:
    """A path as the page links to it."""
    return os.path.relpath(path, files.PAGE.parent)
