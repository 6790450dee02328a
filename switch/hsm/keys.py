"""The HSM that settings ask for, with its keys."""

from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.aws import clients
from postrail.domain.errors import Retryable
from postrail.settings import SwitchSettings
from switch.hsm.key_ring import KeyRing, parse_keys
from switch.hsm.payment_cryptography import CALLS_AT_ONCE_MAX, PaymentCryptographyHsm
from switch.hsm.ports import Hsm
from switch.hsm.software import SoftwareHsm

_ARN: Final = "arn:"
# A cardholder waits at the terminal: what has not answered in two tries of a second and a half will not in time.
_PATIENCE: Final = Config(
    connect_timeout=1,
    read_timeout=1.5,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=CALLS_AT_ONCE_MAX,
    tcp_keepalive=True,
    user_agent="postrail",
)


def build_hsm(settings: SwitchSettings) -> Hsm:
    """The HSM of these settings.

    Raises ConfigInvalid when its keys cannot be used, and Retryable when their secret cannot be read.
    """
    keys = load_keys(settings.hsm_keys)
    if settings.hsm == "software":
        return SoftwareHsm(keys)
    return PaymentCryptographyHsm(boto3.client("payment-cryptography-data", config=_PATIENCE), keys)


def load_keys(setting: str) -> KeyRing:
    """The keys of `SwitchSettings.hsm_keys`: JSON itself, or the ARN of the secret that holds it. Raises as above."""
    if not setting.startswith(_ARN):
        return parse_keys(setting)
    try:
        answer = clients.secrets_manager().get_secret_value(SecretId=setting)
    except (BotoCoreError, ClientError) as error:
        raise Retryable(f"the secret of the HSM's keys could not be read: {clients.error_code(error)}") from None
    return parse_keys(answer["SecretString"])
