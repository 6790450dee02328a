# Where the books count: three zones, a second database instance, locks that nobody opens, and nothing that one mistake
# deletes. Copy and adapt. What COMPLIANCE locks cannot be destroyed before its time, and its bucket neither: start with dev.
name_prefix = "postrail-prod"
region      = "eu-west-2"
tags        = { Environment = "prod" }

network = {
  cidr          = "10.80.0.0/16"
  zones         = 3
  flow_log_days = 400
}

# Each instance grows to 64 GiB; `postrail capacity --rate ...` reckons what a rate needs. Two readers: while one is replaced,
# another stands by. Restored to any second of 35 days.
ledger = {
  acu_min       = 2
  acu_max       = 32
  readers       = 2
  backup_days   = 35
  rotation_days = 30
}

# Its keys as TF_VAR_token_keys, a JWKS document.
token_issuer = "https://tokens.example.com"

# Web application firewall and TLS 1.2 and later, at names of your own. `guarded` after the edge's key is in place:
# docs/decisions/0019-edge-in-front-of-the-apis.md.
edge = {
  domains = {
    bank    = { name = "bank.example.com", certificate_arn = "arn:aws:acm:us-east-1:444455556666:certificate/00000000-0000-0000-0000-000000000001" }
    network = { name = "network.example.com", certificate_arn = "arn:aws:acm:us-east-1:444455556666:certificate/00000000-0000-0000-0000-000000000002" }
  }
}

# Who touched the card vault, a key or a lock, for a year and beyond it.
audit = {
  lock_mode      = "COMPLIANCE"
  lock_days      = 365
  retention_days = 731
}

# docs/switch-in-aws.md: first an image and keys, then `run`.
switch = {
  run       = false
  tasks_min = 3
  tasks_max = 12
}

anchors     = { lock_mode = "COMPLIANCE", lock_days = 2557 }
parked_lock = { mode = "COMPLIANCE", days = 365 }

# People who are told. Each has to confirm once.
alert_emails = ["payments-operations@example.com"]

log_retention_days     = 400
archive_retention_days = 90
parked_retention_days  = 731
deletion_protection    = true
