"""Training of one run: no batch axis, no clock, no printing, no files.

The engine vmaps what is here over lanes. May import config, tasks, models and JAX.
"""
