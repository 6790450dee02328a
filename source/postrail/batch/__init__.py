"""The batch road: files of authorizations through the same stage functions into the ledger, with checkpoints.

One process reads and routes the rows by card, one worker for each partition prepares and posts them. No SQL and no
AWS here: where files, reference data and the ledger are comes in from `postrail.bootstrap`.
"""
