"""The sides of a reconciliation as they come from outside: authorizations and settlement files."""
