"""`python -m grokjax.bench`: time training steps, beside their cost and beside others' steps.

Exit status: 0, or 2 for bad usage.
"""

from __future__ import annotations

import json
import shlex
import sys

from grokjax import command

PROGRAM = "python -m grokjax.bench"


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    return command.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    from grokjax import overrides
    from grokjax.bench.options import Options

    options = overrides.read(Options, arguments, prog=PROGRAM)
    from grokjax.bench import record, report, targets

    kind = targets if options.target else report
    found = kind.measure(options, shlex.join([*PROGRAM.split(), *arguments]))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print(kind.table(found))
    if options.out is not None:
        print(f"wrote {record.write(options.out, found)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    command.run(main)
