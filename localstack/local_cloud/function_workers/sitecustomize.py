"""Runs at the start of every Python that the emulator starts: function workers step back behind the emulator.

Some twenty workers share a machine's processors with the one process that feeds them all. When it has to wait its turn
among them, they soon wait for it.
"""

import os
import sys

_WORKER = "_worker.py"
_STEPS_BACK = 5

if any(argument.endswith(_WORKER) for argument in sys.orig_argv[1:2]):
    os.nice(_STEPS_BACK)
