"""`nan` and `inf` where JSON wants a number: older Kineto wrote them for occupancy figures."""

import re

from attrib.traces.window import LARGEST_MENDED

MOST_MENDED = 50
"""Places of one event at which the scanner may stop for `nan`: each costs another scan of the event."""

# The closing quote of a key cannot be part of a string, so the first pattern never touches one; the second is
# used where the scanner stopped.
_MEMBER_NOT_A_NUMBER = re.compile(rb'(?<=[^\\]":)\s*-?(?:nan|inf)(?=\s*[,}])', re.IGNORECASE)
_NOT_A_NUMBER = re.compile(rb"-?(?:nan|inf)(?=\s*[,\]}])", re.IGNORECASE)


def without_nan(data: bytes, stop: int, *, members: bool) -> bytes | None:
    """The data with such numbers replaced by empty strings as long, if the scanner stopped at one.

    With `members`, those that are the value of a key are replaced throughout.
    """
    if len(data) > LARGEST_MENDED:
        return None
    found = _NOT_A_NUMBER.match(data, stop)
    if found is None:
        return None
    mended = data[:stop] + b'""'.ljust(len(found[0])) + data[found.end() :]
    if not members:
        return mended
    return _MEMBER_NOT_A_NUMBER.sub(lambda match: b'""'.rjust(len(match[0])), mended)
