"""Values that a rewrite took away or renamed although several nodes read them.

Such a value has a counterpart in the neighbouring graph where nodes that correspond read it: a layer norm whose result
became another type is still what the query, the key and the value are made of. What has no counterpart is tied to its
first reader. Its several readers meet again further down, or its work was folded, merged with an equal one or
repeated, and must not tie them together.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from attrib.lineage.disjoint import DisjointSets

MOST_ROUNDS = 8
"""Each round may bring together readers that the next one needs; two were enough for every graph seen."""


class Vanished(msgspec.Struct, eq=False):
    """A value that a neighbour does not have.

    Attributes:
        maker: Who makes it.
        readers: Who reads it.
        ties: The readers that it may be tied to, first one first.
        found: It has a counterpart.
    """

    maker: int
    readers: tuple[int, ...]
    ties: tuple[int, ...]
    found: bool = False


def join(sets: DisjointSets, chain: Sequence[Sequence[Vanished]]) -> None:
    """Join the makers of vanished values that are counterparts, and tie the rest to their first readers.

    Args:
        sets: Nodes of all graphs; what shared values tie together is together already.
        chain: Vanished values of each graph of the chain.
    """
    for _ in range(MOST_ROUNDS):
        if not sum(_pair(sets, ours, theirs) for ours, theirs in pairwise(chain)):
            break
    for value in (value for values in chain for value in values if not value.found and value.ties):
        sets.union(value.maker, value.ties[0])


def _pair(sets: DisjointSets, ours: Sequence[Vanished], theirs: Sequence[Vanished]) -> int:
    """Join the values that only the same readers have, one in each graph; how many were joined anew."""
    one, other = _by_readers(sets, ours), _by_readers(sets, theirs)
    count = 0
    for readers in one.keys() & other.keys():
        (a, *more), (b, *others) = one[readers], other[readers]
        if more or others or sets.find(a.maker) == sets.find(b.maker):
            continue
        sets.union(a.maker, b.maker)
        a.found = b.found = True
        count += 1
    return count


def _by_readers(sets: DisjointSets, values: Sequence[Vanished]) -> dict[frozenset[int], list[Vanished]]:
    found: dict[frozenset[int], list[Vanished]] = defaultdict(list)
    for value in values:
        found[frozenset(map(sets.find, value.readers))].append(value)
    return found
