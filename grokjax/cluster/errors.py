"""What stops a sweep on workers and is no mistake of its configuration."""


class WorkersError(Exception):
    """Workers cannot train, whoever of them tries: in one sentence, with what one of them said."""
