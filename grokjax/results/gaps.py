"""What is left of results whose folder is damaged: all but the tables that cannot be read."""

from __future__ import annotations

import dataclasses

from grokjax.config import ConfigError
from grokjax.results import tables
from grokjax.results.files import to_frame
from grokjax.results.load import Results
from grokjax.results.schema import CURVES, MEASURES, onset_columns


def readable(results: Results) -> Results:
    """The same results without measures and curves that are damaged, told in `gaps`.

    Raises:
      ConfigError: the runs are damaged, or curves that times must be read off.
    """
    known = vars(results)
    empty, said = {}, list(results.gaps)
    stored = onset_columns(results.thresholds).keys() <= set(results.runs)
    for name, schema in (("measures", MEASURES), ("curves", CURVES)):
        if name in known or not results.path.exists():
            continue
        try:
            for part in results.parts_of(name):
                tables.check_columns(part, name)
            if name == "measures":
                results.measures  # noqa: B018 - every page of them
        except ConfigError as error:
            if name == "curves" and not stored:
                raise
            empty[name] = to_frame(schema.empty_table())
            said.append(f"the {name} are left out: {error}")
    if not empty:
        return results
    left = dataclasses.replace(results, gaps=tuple(said))
    vars(left).update({**known, **empty, "gaps": left.gaps})
    return left
