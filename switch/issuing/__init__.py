"""Accounts, cards and the vault of card numbers, and the HTTP API over them."""
