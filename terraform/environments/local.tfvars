# One machine: MiniStack and a local PostgreSQL. The launcher gives ledger and ledger_password as TF_VAR_*.
name_prefix = "postrail-local"
region      = "eu-west-2"

# What MiniStack lacks; README.md says how each shows.
target = {
  emulator           = true
  pipes_run          = false
  tracing            = false
  dependencies_layer = false
  tasks_run          = false
  alarms_run         = false
  jwt_authorizer     = false
  endpoints_run      = false
  database_telemetry = false
  audit_trail        = false
  edge               = false
}

# Functions reach the database of this machine without a network of their own.
network = { create = false }

# Each running copy of a function is a process here: 47 MB, and two processors share them all.
maximum_concurrency = 3

# Nobody waits for a window here, and what was not posted shows at once.
stages = {
  standardise       = { batch_size = 10, batching_window_seconds = 0 }
  enrich            = { batch_size = 10, batching_window_seconds = 0 }
  apply_rules       = { batch_size = 10, batching_window_seconds = 0 }
  sequence_postings = { batch_size = 10, batching_window_seconds = 0 }
  post              = { batch_size = 10, batching_window_seconds = 0 }
  record_outcome    = { batch_size = 10, batching_window_seconds = 0, timeout_seconds = 30 }
}

# An incomplete sequence shows while one watches.
sequence_timeout_seconds = 20

# Terraform destroys the buckets with what is locked in them, which COMPLIANCE would forbid.
anchors     = { lock_mode = "GOVERNANCE", lock_days = 1 }
parked_lock = { mode = "GOVERNANCE", days = 1 }

# Who `postrail token` signs for. The launcher gives the public key as TF_VAR_token_keys.
token_issuer = "https://tokens.postrail.local"

log_retention_days  = 1
deletion_protection = false
