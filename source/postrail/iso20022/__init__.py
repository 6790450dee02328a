"""ISO 20022 messages: the `cain.001.001.05` advice, as JSON-able data and as XML."""
