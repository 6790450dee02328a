"""The one error that the local cloud shows to a person."""


class LocalCloudError(Exception):
    """Something stops the local cloud; the message says in one or two sentences what, and what to do about it."""
