"""`postrail token`: an access token for the local APIs, signed with a key of this machine's own."""

from typing import Annotated

import typer

from postrail.cli.api_client import local_tokens
from postrail.cli.failures import CommandError
from postrail.settings import CommandLineSettings
from switch.issuing.callers import Scope
from switch.issuing.local_tokens import MINUTES_MAX

app = typer.Typer(add_completion=False)


@app.command()
def token(
    subject: Annotated[str, typer.Option(help="Who it is for: a customer, an operator, another bank's system.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it allows; may be repeated. {', '.join(Scope)}.")
    ] = None,
    bank: Annotated[str, typer.Option(help="The bearer's bank.")] = "northgate",
    minutes: Annotated[int, typer.Option(min=1, max=MINUTES_MAX, help="How long it is valid.")] = 15,
    keys: Annotated[bool, typer.Option("--keys", help="Print the public keys (JWKS) instead.")] = False,
) -> None:
    """Print an access token for the APIs of the local cloud.

    In an account tokens come from the issuer that Terraform's `token_issuer` names.
    """
    tokens = local_tokens(CommandLineSettings())
    if keys:
        typer.echo(tokens.keys)
        return
    scopes = [name for some in scope or () for name in some.split()]
    if not subject or not scopes:
        raise CommandError("Say whose token it is and what it allows: --subject alice --scope account:read.", 2)
    if strangers := set(scopes) - set(Scope):
        msg = f"There is no scope {min(strangers)}; there are {', '.join(Scope)}."
        raise CommandError(msg, 2)
    typer.echo(tokens.sign(subject, scopes, bank_id=bank, minutes=minutes))
