"""What keeps an instance from starting, as one sentence for whoever started it."""


class EmbeddedError(RuntimeError):
    """The instance cannot start, or a part of it; the message is to be printed as it is."""
