"""The double-entry ledger on PostgreSQL 15 and later, Aurora included: schema, migrations, and the adapters of its ports."""
