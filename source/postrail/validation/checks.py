"""All questions to a deployment, in the order in which a fault in one explains those after it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from postrail.validation.database import questions_on_ledger
from postrail.validation.deployment import Deployment
from postrail.validation.events import questions_on_events
from postrail.validation.findings import Question, Wrong
from postrail.validation.network import questions_on_network
from postrail.validation.stores import Aws, questions_on_stores
from postrail.validation.traces import AskLedger
from postrail.validation.watching import questions_on_watching
from postrail.validation.work import questions_on_work


def all_questions(deployment: Deployment, aws: Aws, ask: AskLedger, archives: Path) -> Iterator[Question]:
    """Every question that can be asked without sending a payment; `archives` is the folder of built functions."""
    yield Question("account", deployment.expectations.account_id, partial(_account, aws, deployment))
    yield from questions_on_stores(deployment, aws)
    yield from questions_on_network(deployment, aws)
    yield from questions_on_ledger(deployment, aws, ask)
    yield from questions_on_events(deployment, aws)
    yield from questions_on_work(deployment, aws, archives)
    yield from questions_on_watching(deployment, aws)


def _account(aws: Aws, deployment: Deployment) -> str:
    found = str(aws("sts").get_caller_identity()["Account"])
    if found != deployment.expectations.account_id:
        raise Wrong(f"these credentials are of account {found}", "Use credentials of the account that it runs in.")
    return deployment.region
