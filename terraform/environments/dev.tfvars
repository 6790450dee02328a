# A development account: everything is there, in its smallest sound size, and all of it can be destroyed. Copy and adapt.
name_prefix = "postrail-dev"
region      = "eu-west-2"
tags        = { Environment = "dev" }

# A VPC of its own, in two zones. One that is there is named instead: docs/network.md.
network = {
  cidr          = "10.64.0.0/16"
  zones         = 2
  flow_log_days = 90
}

# Aurora behind a proxy, without a second instance: when the only one fails, a new one takes some ten minutes.
# A database that is there already: ledger = { host = "...", username = "postrail" }, its addresses as network.database_cidrs,
# its password as TF_VAR_ledger_password.
ledger = {
  acu_min     = 0.5
  acu_max     = 4
  readers     = 0
  backup_days = 3
}

# Who signs access tokens for the APIs. Its keys are given as TF_VAR_token_keys, a JWKS document: the functions reach no
# address on the internet.
token_issuer = "https://tokens.example.com"

# The APIs stand alone here: their own throttling and the tokens protect them.
edge = { enabled = false }

# The card vault's record, without a second trail of all that is done in the account.
audit = {
  management_events = false
  lock_days         = 1
  retention_days    = 90
}

# Networks and banks run once they have an image (make image IMAGE=switch) and keys: docs/switch-in-aws.md.
# switch = {
#   run            = true
#   tasks_min      = 1
#   tasks_max      = 2
#   acquirer_cidrs = ["10.20.0.0/16"]
# }

# Locks that Terraform can still take away, for a day.
anchors     = { lock_mode = "GOVERNANCE", lock_days = 1 }
parked_lock = { mode = "GOVERNANCE", days = 1 }

log_retention_days     = 14
archive_retention_days = 7
parked_retention_days  = 30
deletion_protection    = false
