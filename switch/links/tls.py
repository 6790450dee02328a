"""Mutual TLS between peers: each side shows a certificate that the other side's authority signed."""

import ssl

from postrail.domain.errors import ConfigInvalid
from switch.ecosystem import Tls


def server_context(tls: Tls) -> ssl.SSLContext:
    """For who listens: no client without a certificate of ours. Raises ConfigInvalid naming the file at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _furnish(context, tls)


def client_context(tls: Tls) -> ssl.SSLContext:
    """For who connects: the server's certificate must name the host. Raises ConfigInvalid naming the file at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = True
    return _furnish(context, tls)


def _furnish(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cafile=tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        msg = f"{tls.ca_file}: no certificate authority can be read from it ({error.strerror or error})"
        raise ConfigInvalid(msg) from error
    try:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        msg = f"{tls.certificate_file}, {tls.key_file}: no certificate and its key ({error.strerror or error})"
        raise ConfigInvalid(msg) from error
    return context
