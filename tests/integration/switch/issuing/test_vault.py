"""The vaults of card numbers: KMS and DynamoDB (moto), and a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from tests.fakes.system import FakeClock

from postrail.domain.errors import Permanent, Retryable
from switch.issuing.file_vault import FileCardVault, load_file_lookup
from switch.issuing.lookup import HmacPanLookup
from switch.issuing.ports import CardVault, IssuedCard
from switch.issuing.vault import CARDS_PURPOSE, KmsCardVault, load_pan_lookup

CARD = IssuedCard("9991000000000001", "4761340000000019", "2030-11")
OTHER = IssuedCard("9991000000000002", "4761340000000027", "2031-01")


class CloudVault:
    """A vault in moto."""

    def __init__(self) -> None:
        self.dynamodb = boto3.client("dynamodb", region_name="eu-west-2")
        self.kms = boto3.client("kms", region_name="eu-west-2")
        self.key_arn = self.kms.create_key()["KeyMetadata"]["Arn"]
        self.dynamodb.create_table(
            TableName="card-vault",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def lookup(self, *, make: bool = True) -> HmacPanLookup:
        return load_pan_lookup(self.dynamodb, self.kms, table="card-vault", key_arn=self.key_arn, make=make)

    def vault(self) -> KmsCardVault:
        return KmsCardVault(
            self.dynamodb,
            self.kms,
            table="card-vault",
            key_arn=self.key_arn,
            lookup=self.lookup(),
            clock=FakeClock(),
        )

    def items(self) -> list[dict[str, Any]]:
        return self.dynamodb.scan(TableName="card-vault")["Items"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield CloudVault()


@pytest.fixture(params=["kms", "folder"])
def open_vault(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], CardVault]:
    """Opens the same vault, as often as one likes."""
    if request.param == "folder":
        return lambda: FileCardVault(tmp_path)
    cloud: CloudVault = request.getfixturevalue("cloud")
    return cloud.vault


def test_a_token_is_turned_back_into_its_card(open_vault: Callable[[], CardVault]) -> None:
    """By another process too, later."""
    open_vault().keep([CARD, OTHER])

    assert open_vault().reveal(CARD.card_token) == CARD
    assert open_vault().reveal(OTHER.card_token) == OTHER
    assert open_vault().reveal("9991000000000009") is None


def test_keeping_a_card_again_changes_nothing(open_vault: Callable[[], CardVault]) -> None:
    """An order that is tried again brings its card again."""
    vault = open_vault()
    vault.keep([CARD])
    vault.keep([CARD])

    assert vault.reveal(CARD.card_token) == CARD


def test_a_token_never_changes_its_card(open_vault: Callable[[], CardVault]) -> None:
    """A second number for a token is refused, and the first stays."""
    vault = open_vault()
    vault.keep([CARD])

    with pytest.raises(Permanent, match="another card") as refusal:
        vault.keep([OTHER._replace(card_token=CARD.card_token)])

    assert OTHER.pan not in str(refusal.value)
    assert vault.reveal(CARD.card_token) == CARD


def test_no_number_lies_in_the_table_in_clear(cloud: CloudVault) -> None:
    """Neither the number nor a key can be read there, and a data key opens under its purpose only."""
    cloud.vault().keep([CARD])

    stored = repr(cloud.items())
    assert CARD.pan not in stored
    assert CARD.pan.encode().hex() not in stored
    wrapped = next(item["data_key"]["B"] for item in cloud.items() if item["pk"]["S"].startswith("CARD#"))
    with pytest.raises(ClientError):
        cloud.kms.decrypt(
            CiphertextBlob=wrapped, KeyId=cloud.key_arn, EncryptionContext={"postrail:purpose": "pan-lookup"}
        )
    assert cloud.kms.decrypt(CiphertextBlob=wrapped, KeyId=cloud.key_arn, EncryptionContext=CARDS_PURPOSE)


def test_an_entry_moved_to_another_token_does_not_open(cloud: CloudVault) -> None:
    """A ciphertext belongs to its token: whoever can write the table cannot swap cards."""
    cloud.vault().keep([CARD])
    entry = next(item for item in cloud.items() if item["pk"]["S"].startswith("CARD#"))
    cloud.dynamodb.put_item(TableName="card-vault", Item=entry | {"pk": {"S": f"CARD#{OTHER.card_token}"}})

    with pytest.raises(Permanent, match="not authentic") as refusal:
        cloud.vault().reveal(OTHER.card_token)
    assert CARD.pan not in str(refusal.value)


def test_the_lookup_key_is_made_once_and_shared(cloud: CloudVault) -> None:
    """Every process finds a card by the same value; one that may not make the key waits until there is one."""
    with pytest.raises(Retryable, match="no lookup key yet"):
        cloud.lookup(make=False)

    first = cloud.lookup()

    assert cloud.lookup().lookup(CARD.pan) == cloud.lookup(make=False).lookup(CARD.pan) == first.lookup(CARD.pan)
    assert len(cloud.items()) == 1


def test_two_that_make_the_lookup_key_at_once_use_one_key(cloud: CloudVault, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower one takes the key of the faster one."""
    generate = cloud.kms.generate_data_key
    faster: list[HmacPanLookup] = []

    def overtaken(**arguments: Any) -> Any:
        monkeypatch.setattr(cloud.kms, "generate_data_key", generate)
        faster.append(cloud.lookup())
        return generate(**arguments)

    monkeypatch.setattr(cloud.kms, "generate_data_key", overtaken)

    assert cloud.lookup().lookup(CARD.pan) == faster[0].lookup(CARD.pan)


def test_a_vault_whose_table_is_gone_says_so(cloud: CloudVault) -> None:
    """A service that refuses is no fault of the card: the same call may work later."""
    vault = cloud.vault()
    cloud.dynamodb.delete_table(TableName="card-vault")

    with pytest.raises(Retryable, match="ResourceNotFound"):
        vault.keep([CARD])
    with pytest.raises(Retryable, match="ResourceNotFound"):
        vault.reveal(CARD.card_token)


def test_files_of_a_folder_are_private(tmp_path: Path) -> None:
    """Keys and cards are their owner's alone, and both keys stay the same."""
    FileCardVault(tmp_path).keep([CARD])
    first = load_file_lookup(tmp_path)

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert not any(CARD.pan.encode() in path.read_bytes() for path in files)
    assert load_file_lookup(tmp_path).lookup(CARD.pan) == first.lookup(CARD.pan)
