"""How an endpoint of the ecosystem speaks, as a wire."""

from postrail.domain.errors import ConfigInvalid
from switch.ecosystem import Endpoint
from switch.iso8583.dialect import load_dialect
from switch.iso8583.mac import Mac
from switch.iso8583.wire import Wire


def build_wire(endpoint: Endpoint, mac_key: bytes | None = None) -> Wire:
    """The wire of an endpoint; `mac_key` is the key that its `mac_key` names. Raises ConfigInvalid without one."""
    mac = None
    if endpoint.mac is not None:
        if mac_key is None:
            msg = f"the endpoint at port {endpoint.port} has a MAC, and there is no key for it"
            raise ConfigInvalid(msg)
        mac = Mac(endpoint.mac, mac_key)
    return Wire(load_dialect(endpoint.dialect), endpoint.framing, tpdu=endpoint.tpdu, mac=mac)
