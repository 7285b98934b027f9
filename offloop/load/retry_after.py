"""What a server says in `Retry-After`: pure."""

#: Says that a server cannot take the request now (RFC 9110, section 15.6.4).
UNAVAILABLE = 503


def seconds_of(header: object) -> int | None:
    """Read the seconds of a `Retry-After` header; None for a date, nonsense or no header.

    Args:
        header: As the answer has it; a string if it has one.
    """
    if isinstance(header, str) and header.strip().isdecimal():
        return int(header)
    return None
