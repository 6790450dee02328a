"""The double-entry ledger on PostgreSQL 15 and later, Aurora included: schema, migrations, adapters of its ports."""
