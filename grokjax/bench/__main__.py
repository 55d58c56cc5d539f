"""`python -m grokjax.bench`: time training steps, beside their cost and beside others' steps.

Exit status: 0, or 2 for bad usage.
"""

from __future__ import annotations

import json
import shlex
import sys

import tyro

from grokjax.bench.options import Options
from grokjax.config import ConfigError


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    options = tyro.cli(Options, args=arguments, prog="python -m grokjax.bench")
    try:
        return _main(options, shlex.join(["python", "-m", "grokjax.bench", *arguments]))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _main(options: Options, command: str) -> int:
    from grokjax.bench import record, report, targets

    kind = targets if options.target else report
    found = kind.measure(options, command)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print(kind.table(found))
    if options.out is not None:
        print(f"wrote {record.write(options.out, found)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
