"""How fast a training step is, beside what it must cost and beside what others take.

`python -m grokjax.bench`. The only room with clocks that are looked at; no test asserts a time.
"""
