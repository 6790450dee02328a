"""Postrail posts approved card payments to customer accounts in seconds."""

__version__ = "0.1.0"
