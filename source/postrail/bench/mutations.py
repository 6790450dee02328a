"""Spoils valid messages the way lines, bugs and attackers do: the same seed gives the same mutants.

A mutant may still be a valid message; what counts is that whoever reads it neither crashes nor loses its neighbours.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]
_ODD_LENGTHS: Final = (b"+5", b" 5", b"-1", b"1_", b"99", b"00", b"0x", b"\xb2\xb3", b"\x00\x00", b"\xff\xff")
_FAULTS_MAX: Final = 4


def mutants(seed: int, count: int, originals: Sequence[bytes], *, faults_max: int = _FAULTS_MAX) -> Iterator[bytes]:
    """`count` messages with one to `faults_max` things wrong each."""
    chance = random.Random(seed)
    for _ in range(count):
        mutant = bytearray(chance.choice(originals))
        for _ in range(chance.randint(1, faults_max)):
            chance.choice(_MUTATIONS)(chance, mutant, originals)
        yield bytes(mutant)


def _flip_bit(chance: random.Random, mutant: bytearray, _: Sequence[bytes]) -> None:
    if mutant:
        mutant[chance.randrange(len(mutant))] ^= 1 << chance.randrange(8)


def _change_byte(chance: random.Random, mutant: bytearray, _: Sequence[bytes]) -> None:
    if mutant:
        mutant[chance.randrange(len(mutant))] = chance.choice([0x00, 0xFF, 0x20, 0x2B, 0x5F, chance.randrange(256)])


def _change_head(chance: random.Random, mutant: bytearray, _: Sequence[bytes]) -> None:
    """Type and bitmaps decide about everything that follows."""
    if mutant:
        mutant[chance.randrange(min(36, len(mutant)))] = chance.choice(
            [*b"0123456789ABCDEFf +_", chance.randrange(256)]
        )


def _change_length(chance: random.Random, mutant: bytearray, _: Sequence[bytes]) -> None:
    odd = chance.choice(_ODD_LENGTHS)
    place = chance.randrange(len(mutant) + 1)
    mutant[place : place + len(odd)] = odd


def _cut(chance: random.Random, mutant: bytearray, _: Sequence[bytes]) -> None:
    del mutant[chance.randrange(len(mutant) + 1) :]


def _remove(chance: random.Random, mutant: bytearray, _: Sequence[bytes]) -> None:
    place = chance.randrange(len(mutant) + 1)
    del mutant[place : place + chance.randint(1, 20)]


def _insert(chance: random.Random, mutant: bytearray, _: Sequence[bytes]) -> None:
    place = chance.randrange(len(mutant) + 1)
    mutant[place:place] = chance.randbytes(chance.randint(1, 20))


def _repeat(chance: random.Random, mutant: bytearray, _: Sequence[bytes]) -> None:
    place = chance.randrange(len(mutant) + 1)
    mutant[place:place] = mutant[place : place + chance.randint(1, 40)]


def _splice(chance: random.Random, mutant: bytearray, originals: Sequence[bytes]) -> None:
    """The head of one message with the tail of another."""
    other = chance.choice(originals)
    mutant[chance.randrange(len(mutant) + 1) :] = other[chance.randrange(len(other)) :]


def _grow(chance: random.Random, mutant: bytearray, _: Sequence[bytes]) -> None:
    mutant.extend(chance.choice([b"\x00", b"9", b"\xff"]) * chance.randint(1, 9000))


_MUTATIONS: Final[tuple[Mutation, ...]] = (
    _flip_bit,
    _change_byte,
    _change_head,
    _change_length,
    _cut,
    _remove,
    _insert,
    _repeat,
    _splice,
    _grow,
)
