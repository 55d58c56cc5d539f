"""Measures of a network: pure functions of its parameters, its loss and its task."""
