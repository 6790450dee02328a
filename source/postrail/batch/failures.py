"""What ends a batch before its time.

PostrailError
├── FileUnusable   the file cannot be read as what it claims to be, from its start or from some line on
├── RunStopped     somebody asked the run to stop; what is committed stays
└── RunFailed      a worker or the ledger gave up; what is committed stays
"""

from postrail.domain.errors import PostrailError


class FileUnusable(PostrailError):
    """A file, or what is left of it, cannot be read. The message is one sentence for the person who gave it."""


class RunStopped(PostrailError):
    """The run was interrupted; the same command goes on from the last checkpoint."""


class RunFailed(PostrailError):
    """The run cannot go on now; the same command goes on from the last checkpoint."""
