"""The ports in the process's own memory: for the batch road and for tests. Honest: the same contract tests run
against these and against the AWS adapters."""

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
