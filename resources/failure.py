"""What may go wrong and is foreseen."""


class Failure(Exception):
    """A foreseen failure: its message is one line that says what, where and what to do."""
