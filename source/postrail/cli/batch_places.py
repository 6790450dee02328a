"""Where a batch command finds files, the ledger and reference data: options first, then settings, then the graph."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from postrail.batch.files import LocalFile, Source
from postrail.bootstrap import BatchPlaces
from postrail.bootstrap import ledger_dsn as dsn_of_settings
from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph, load_graph, local_ledger_dsn
from postrail.settings import CommandLineSettings, Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def ledger_of(option: str | None) -> str | Callable[[], str]:
    """The ledger's DSN, or how to ask for it: --ledger, POSTRAIL_LEDGER_DSN, the secret, the graph."""
    settings = Settings()
    if option or settings.ledger_dsn:
        return option or settings.ledger_dsn
    if settings.ledger_secret_arn:
        return dsn_of_settings(settings)
    local = local_ledger_dsn(CommandLineSettings())
    if local:
        return local
    graph = _graph_or_none()
    if graph is None:
        msg = "No ledger: name one with --ledger or POSTRAIL_LEDGER_DSN, or start the local cloud with `make local`."
        raise CommandError(msg)
    return graph.ledger_dsn()


def places_of(ledger: str | Callable[[], str], reference: Path | None) -> BatchPlaces:
    """What the workers need to know. Raises CommandError when there is no reference data to be found."""
    dsn = ledger if isinstance(ledger, str) else ""
    if reference is not None:
        if not reference.is_file():
            msg = f"There is no file {reference}: write one with `postrail batch generate --reference {reference}`."
            raise CommandError(msg)
        return BatchPlaces(ledger_dsn=dsn, reference_file=reference)
    if Settings().reference_table:
        return BatchPlaces(ledger_dsn=dsn)
    graph = _graph_or_none()
    if graph is None:
        msg = "No reference data: name a file with --reference, or start the local cloud with `make local`."
        raise CommandError(msg)
    return BatchPlaces(ledger_dsn=dsn, reference_table=graph.table("reference"), environment=_environment(graph))


def source_of(name: str) -> Source:
    """A local file or an object in S3."""
    if not _is_s3(name):
        path = Path(name)
        if not path.is_file():
            msg = f"There is no file {name}: check the path."
            raise CommandError(msg)
        return LocalFile(path)
    from postrail.adapters.aws.batch_files import S3File  # noqa: PLC0415 - boto3 only when it is needed

    return S3File(s3_client(), name)


@contextmanager
def written_whole(name: str) -> Iterator[BinaryIO]:
    """A stream that becomes the file, or the object in S3, when the block ends well; before, nothing is seen of it."""
    remote = _is_s3(name)
    folder = None if remote else Path(name).absolute().parent
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".results-", delete=False) as stream:
        path = Path(stream.name)
        try:
            yield stream  # type: ignore[misc]
            stream.flush()
            if remote:
                from postrail.adapters.aws.batch_files import upload  # noqa: PLC0415

                upload(s3_client(), path, name)
            else:
                path.chmod(0o644)
                path.replace(name)
        finally:
            path.unlink(missing_ok=True)


@cache
def s3_client() -> "S3Client":
    """The graph's client, which knows the emulator; where there is no graph, boto3's own way."""
    graph = _graph_or_none()
    if graph is not None:
        client: Any = graph.client("s3")
        return client  # type: ignore[no-any-return]
    from postrail.adapters.aws import clients  # noqa: PLC0415

    return clients.s3()


def _is_s3(name: str) -> bool:
    return name.startswith("s3://")


def _graph_or_none() -> Graph | None:
    """The graph, unless this process was told all it needs by its settings, or nothing is deployed here.

    Raises CommandError for a deployment whose files cannot be understood.
    """
    settings = CommandLineSettings()
    deployed = settings.outputs is not None or (settings.local_dir / "outputs.json").exists()
    return load_graph(settings) if deployed and not Settings().reference_table else None


def _environment(graph: Graph) -> dict[str, str]:
    if graph.cloud is None:
        return {"AWS_REGION": graph.outputs.region, "AWS_DEFAULT_REGION": graph.outputs.region}
    return {
        "AWS_ENDPOINT_URL": graph.cloud.endpoint_url,
        "AWS_REGION": graph.cloud.region,
        "AWS_DEFAULT_REGION": graph.cloud.region,
        "AWS_ACCESS_KEY_ID": graph.cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": graph.cloud.secret_access_key,
    }
