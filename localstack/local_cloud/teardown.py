"""`down`: ends and removes what `up` made, in whatever state it is, as often as one likes."""

import shutil

from local_cloud import batch_runner, emulator, localstack_emulator, postgres, processes
from local_cloud.errors import LocalCloudError
from local_cloud.launch import PIPE_RUNNER, read_cloud
from local_cloud.layout import StateDir
from local_cloud.progress import Reporter


def tear_down(state: StateDir, reporter: Reporter, *, keep_data: bool) -> None:
    """End all processes and remove the state directory; with `keep_data` the ledger's data and password stay.

    Raises LocalCloudError when the directory is not one that `up` made: nothing is removed then.
    """
    if not state.root.exists():
        reporter.note(f"Nothing runs in {state.root}.")
        return
    if not state.marker.exists():
        msg = f"{state.root} was not made by `up`; it stays as it is."
        raise LocalCloudError(msg)
    localstack = read_cloud(state).get("emulator") == "localstack"
    # Consumers first: what still runs would only complain about what has gone.
    with reporter.step("Pipe runner") as step:
        step.result = _word(found=processes.stop(state, PIPE_RUNNER))
    with reporter.step("Batch runner") as step:
        # Its runs get as long as ECS would grant them.
        step.result = _word(found=processes.stop(state, batch_runner.NAME, patience_s=130.0))
    with reporter.step("Emulator") as step:
        found = localstack_emulator.stop(state, keep_data=keep_data) if localstack else emulator.stop(state)
        step.result = _word(found=found)
    with reporter.step("PostgreSQL") as step:
        step.result = _word(found=postgres.stop(state) or (localstack and found))
    if not keep_data:
        postgres.remove_data(state)
        shutil.rmtree(state.root)
        reporter.note(f"{state.root} removed.")
        return
    kept = {state.postgres, state.postgres_settings, state.marker, state.lock}
    for path in state.root.iterdir():
        if path not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    reporter.note(f"The ledger's data stays in {state.root}.")


def _word(*, found: bool) -> str:
    return "stopped" if found else "was not running"
