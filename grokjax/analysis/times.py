"""The times of a run that may be censored; imports nothing, for the help of a command."""

TIMES = {
    "t_grok": None,
    "t_grok_sustained": None,
    "t_mem": None,
    "grok_gap": "t_mem",
}
"""Metric → the column that its clock starts from, the first step where None."""
