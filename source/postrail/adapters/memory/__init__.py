"""The ports in memory, for the batch road and for tests. The AWS adapters' contract tests run against them too."""

from postrail.adapters.memory.books import MemoryReferenceBook, MemoryVelocityBook
from postrail.adapters.memory.dedup_store import MemoryDedupStore
from postrail.adapters.memory.outlets import MemoryDeadLetters, MemoryEventBus, MemoryOutcomeLog, MemoryParkingLot

__all__ = [
    "MemoryDeadLetters",
    "MemoryDedupStore",
    "MemoryEventBus",
    "MemoryOutcomeLog",
    "MemoryParkingLot",
    "MemoryReferenceBook",
    "MemoryVelocityBook",
]
