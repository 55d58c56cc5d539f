"""A place for a depot that does what shared file systems and object stores do on bad days."""

import random


class Clock:
    """Stands for `time` where a test has no time."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Flaky:
    """Objects in memory: late to be seen, later to be listed, and puts that fail.

    Args:
      clock: by which they are late.
      seed: of what happens.
      late: seconds, at most, until an object is seen; as long again until it is listed.
      fails: share of the operations that raise, half of the puts among them after the fact.
    """

    def __init__(self, clock, seed=0, late=60.0, fails=0.2):
        self.clock, self.random, self.late, self.fails = clock, random.Random(seed), late, fails
        self.objects = {}

    def put(self, name, content):
        if self._unlucky():
            raise OSError(5, "before")
        seen = self.clock.now + self.random.uniform(0, self.late)
        older = [one for one in self.objects.get(name, []) if one[0] <= self.clock.now][-1:]
        self.objects[name] = [*older, (seen, seen + self.random.uniform(0, self.late), content)]
        if self._unlucky():
            raise OSError(5, "after")

    def get(self, name):
        self._may_fail()
        seen = [
            content for seen, _, content in self.objects.get(name, []) if seen <= self.clock.now
        ]
        if not seen:
            raise FileNotFoundError(name)
        return seen[-1]

    def names(self, under):
        self._may_fail()
        return [
            name
            for name, versions in self.objects.items()
            if name.startswith(f"{under}/" if under else "")
            and any(listed <= self.clock.now for _, listed, _ in versions)
        ]

    def remove(self, under):
        self._may_fail()
        for name in [
            n for n in self.objects if n == under or n.startswith(f"{under}/" if under else "")
        ]:
            del self.objects[name]

    def _unlucky(self):
        return self.random.random() < self.fails / 2

    def _may_fail(self):
        if self.random.random() < self.fails:
            raise OSError(5, "Input/output error")
