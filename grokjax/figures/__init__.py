"""Figures for papers: functions from DataFrames to matplotlib figures. No JAX, no files."""
