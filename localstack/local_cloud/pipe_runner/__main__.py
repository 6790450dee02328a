"""`python -m local_cloud.pipe_runner --state-dir DIR`: play the unmanaged pipes of one local cloud."""

import argparse
import os
import sys
from pathlib import Path

from local_cloud.layout import STATE_DIR_VARIABLE
from local_cloud.pipe_runner.runner import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-dir", type=Path, default=Path(os.environ.get(STATE_DIR_VARIABLE, ".local")))
    sys.exit(main(parser.parse_args().state_dir.resolve()))
