"""From curves to statements: onsets, phases, cells. NumPy, pandas and SciPy; no JAX."""
