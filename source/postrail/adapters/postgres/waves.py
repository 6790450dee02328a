"""Splits a batch so that no name stands in one call twice: what shares a name is done one after the other."""

from collections.abc import Sequence


def split_into_waves(names: Sequence[tuple[str, ...]]) -> list[list[int]]:
    """Places of orders in groups that repeat no name. `names` holds, for each order, what it must not share.

    An order comes in the first group behind all groups that hold one of its names, so that of those that share a name
    the first in the batch is the first to be done.
    """
    everything = [name for own in names for name in own]
    if len(set(everything)) == len(everything):
        return [list(range(len(names)))] if names else []
    groups: list[list[int]] = []
    last_group: dict[str, int] = {}
    for place, own in enumerate(names):
        number = 1 + max((last_group.get(name, -1) for name in own), default=-1)
        if number == len(groups):
            groups.append([])
        groups[number].append(place)
        last_group.update(dict.fromkeys(own, number))
    return groups
