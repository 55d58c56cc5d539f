"""Figures for a paper, from DataFrames: each function returns a matplotlib figure.

`maps` (phases, probabilities, times over two axes), `curves` (over steps), `trends` (laws, scans,
variance) draw; `style` saves them as PNG and PDF; `gallery` says which of them a sweep has the axes
for, and `registry.figure` puts one of your own beside them.
"""

__all__ = ["curves", "gallery", "maps", "registry", "style", "trends"]
