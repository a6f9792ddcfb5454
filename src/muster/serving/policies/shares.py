"""How the shares of a ramp lie on the line from 0 to 1, and where on it a unit stands.

A step's layout gives every version pieces of the line whose lengths are its share. The first step lays them side by side in the
order. From each step to the next a version whose share falls hands over the end of what it has, and those whose shares grow take
it, in the order: nothing else changes hands. So a unit moves only from a version that shrinks to one that grows, as few units
move as can, and the layout of a step depends on no later step.

A unit's place is the first 53 bits of SHA-256 over the salt, a zero byte and the unit, read as a fraction: whoever knows the plan
can compute it, in any language and in a database.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise

from muster.packaging.columns import Column, decode_text, values_of
from muster.vocabulary.tensors import Datatype

#: Places on the line are whole numbers below this, so that lengths add up exactly.
LINE = 1 << 53
#: Stands for null; it is no UTF-8, so no value is taken for it.
NULL_UNIT = b"\xff"

Piece = tuple[int, int, int]
"""Begin, end, and the place in the order of the version that it belongs to."""


class Layout:
    """One step's layout: made once, asked for every row.

    Args:
        pieces: what belongs to whom, sorted, without gap from 0 to `LINE`.
    """

    __slots__ = ("_begins", "_owners", "pieces")

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = tuple(pieces)
        self._begins = [begin for begin, _, _ in self.pieces]
        self._owners = [owner for _, _, owner in self.pieces]

    def owner(self, place: int) -> int:
        """Whose the place is, as a place in the order."""
        return self._owners[bisect_right(self._begins, place) - 1]


@lru_cache(maxsize=64)  # a request with a deadline of its own has a policy of its own, over the same steps
def layouts(steps: tuple[tuple[float, ...], ...]) -> tuple[Layout, ...]:
    """One layout per step of shares, which have a share per version of the order and sum to 1."""
    lengths = _lengths(steps[0])
    pieces: list[Piece] = []
    begin = 0
    for owner, length in enumerate(lengths):
        if length:
            pieces.append((begin, begin + length, owner))
        begin += length
    made = [Layout(pieces)]
    for step in steps[1:]:
        following = _lengths(step)
        pieces = _moved(pieces, [after - before for before, after in zip(lengths, following, strict=True)])
        lengths = following
        made.append(Layout(pieces))
    return tuple(made)


def _lengths(shares: Sequence[float]) -> list[int]:
    """The shares in whole numbers that sum to `LINE`; what rounding leaves over goes to the greatest share."""
    lengths = [round(share * LINE) for share in shares]
    greatest = lengths.index(max(lengths))
    lengths[greatest] += LINE - sum(lengths)
    return lengths


def _moved(pieces: list[Piece], changes: list[int]) -> list[Piece]:
    """The pieces after every version has lost or won as much as `changes` says."""
    kept, freed = [], []
    losses = [max(-change, 0) for change in changes]
    for begin, end, owner in reversed(pieces):
        cut = end - min(losses[owner], end - begin)
        losses[owner] -= end - cut
        if cut < end:
            freed.append((cut, end))
        if begin < cut:
            kept.append((begin, cut, owner))
    winners = [[owner, change] for owner, change in enumerate(changes) if change > 0]
    for begin, end in reversed(freed):
        at = begin
        while at < end:
            owner, wanted = winners[0]
            upto = min(end, at + wanted)
            kept.append((at, upto, owner))
            winners[0][1] -= upto - at
            at = upto
            if not winners[0][1]:
                del winners[0]
    return _joined(sorted(kept))


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The same with neighbours of one owner made one."""
    joined = pieces[:1]
    for begin, end, owner in pieces[1:]:
        if owner == joined[-1][2]:
            joined[-1] = (joined[-1][0], end, owner)
        else:
            joined.append((begin, end, owner))
    assert all(before[1] == after[0] for before, after in pairwise(joined))
    return joined


def units(column: Column) -> list[bytes]:
    """One unit per row: text as UTF-8, a whole number in decimal digits, a flag as `true` or `false`; null is `NULL_UNIT`.

    They do not depend on the width of the datatype, so a unit stays where it is when INT32 becomes INT64, or a number text.
    """
    if column.datatype is Datatype.BYTES:
        found = [text.encode() for text in decode_text(column.data)]
    elif column.datatype is Datatype.BOOL:
        found = [b"true" if value else b"false" for value in bytes(column.data)]
    else:
        found = [b"%d" % value for value in values_of(Column(column.datatype, (), column.data))]
    if column.nulls:
        return [NULL_UNIT if null else unit for unit, null in zip(found, bytes(column.nulls), strict=True)]
    return found


def placing(salt: str) -> Callable[[bytes], int]:
    """A function that gives a unit's place on the line."""
    salted = sha256(salt.encode() + b"\0")

    def place(unit: bytes) -> int:
        digest = salted.copy()
        digest.update(unit)
        return int.from_bytes(digest.digest()[:8], "big") >> 11

    return place
