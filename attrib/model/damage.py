"""What could not be read of a damaged trace."""

import msgspec


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be read of a damaged trace. Only lenient reading gives one: strict reading refuses the file.

    Attributes:
        file: The file, as it was named to the reader; relative to the trace directory in a report.
        reason: What is wrong at the first place.
        offset: The first byte that was not used, counted after unpacking.
        event: The number of the event there, from 0: how many events, of every phase, come before it.
        packed: Whether the file is gzip or zstd, so that `offset` is no place of the file as it lies on the disk.
        recovered: Events of every phase that were read whole, before and after the damage.
        lost: Events known to be lost: those that begin within the bytes that were not used.
        lost_bytes: Bytes that were not used, counted after unpacking.
        places: Places at which something was wrong; 0 for a file that reads well and is not the one that was captured.
        cut: Whether the end is missing, so that nobody knows how many more events there were.
    """

    file: str
    reason: str
    offset: int
    event: int
    packed: bool = False
    recovered: int
    lost: int
    lost_bytes: int
    places: int = 1
    cut: bool = False

    def place(self) -> str:
        """Where the file is damaged, and how."""
        if not self.places:
            return f"{self.file} is damaged: {self.reason}"
        where = f"event {self.event:,}, byte {self.offset:,}{' after unpacking' if self.packed else ''}"
        more = f" (the first of {self.places:,} places)" if self.places > 1 else ""
        return f"{self.file} is damaged at {where}{more}: {self.reason}"

    def outcome(self) -> str:
        """What was recovered, and what was not."""
        found = f"{self.recovered:,} event{'s were' if self.recovered != 1 else ' was'} recovered"
        if not self.places:
            return found
        lost = (
            f"{self.lost:,} {'was' if self.lost == 1 else 'were'} lost"
            if self.lost
            else "none is known to be lost"
        )
        passed = f"{self.lost_bytes:,} byte{'s' * (self.lost_bytes != 1)} passed over"
        return f"{found}, {lost} ({passed}){', and how many followed is not known' if self.cut else ''}"

    def sentence(self) -> str:
        """What happened to the file, in a line for the reader."""
        return f"{self.place()}; {self.outcome()}"
