"""A number of a tracker's JSON, where its digits are all that must be kept of it."""


class Number(str):
    """A number literal that would not print the same again, such as `1.00` or `1E5`."""

    __slots__ = ()
