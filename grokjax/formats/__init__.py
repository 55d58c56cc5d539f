"""Networks in the formats of other programs: files, PyTorch modules, TransformerLens weights.

What a network is taken to is asked through `grokjax.weights.Network`. This package may import
config, tasks and models; PyTorch and TransformerLens only where they are asked for.
"""
