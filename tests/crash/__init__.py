"""Sweeps whose machine fails at any moment: killed, without power, with a disk that is full or ill.

`interposer` records what a sweep does to its files, and fails it; `disk` says which folders a
machine may find after that; `kinds` are the sweeps; `states` resumes them and compares. Programs:
`python -m crash.states` tries all states, `python -m crash.faults` all faults, `python -m
crash.kills N` kills processes; each writes what it counted to results/trust/.
"""
