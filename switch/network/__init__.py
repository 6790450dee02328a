"""The card network: routes authorizations to issuers, and answers for them when they do not."""
