"""The files of a sweep: what is written, in which order, and how to read it back.

No JAX here: results outlive the program that made them.
"""
