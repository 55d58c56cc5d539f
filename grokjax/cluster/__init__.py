"""A sweep on several machines: what may be lost is engines and workers, what counts is in files.

An *engine* (Ray, SLURM, processes of this machine) places *attempts* at *shards*, which are some
runs of one program. Attempts write into the *depot*, a folder or bucket that all machines see; one
*driver* joins what is done there into a results folder like any other.
"""
