"""What goes wrong when a subject is built."""


class InvalidSubject(ValueError):
    """A token cannot stand in a subject; raised before anything reaches the wire."""

    def __init__(self, field: str, value: str) -> None:
        super().__init__(f"{field} {value!r} cannot stand in a subject: use A-Z a-z 0-9 _ -")
        self.field = field
        self.value = value
