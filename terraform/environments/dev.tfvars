# A development account. Copy, adapt, and give the password as TF_VAR_ledger_password.
name_prefix = "postrail-dev"
region      = "eu-west-2"

# A VPC of its own, in two zones. One that is there is named instead: docs/network.md.
network = {
  cidr           = "10.64.0.0/16"
  zones          = 2
  database_cidrs = ["10.128.0.0/24"]
}

# An existing PostgreSQL 15 or later, at those addresses.
ledger = {
  host     = "ledger.example.internal"
  username = "postrail"
}

stages = {
  record_outcome = { delivery = "batch", timeout_seconds = 120 }
}

batch = {
  cpu       = 2048
  memory_mb = 4096
}

# Who signs access tokens for the APIs. Its keys are given as TF_VAR_token_keys, a JWKS document: the functions reach no
# address on the internet.
token_issuer = "https://tokens.example.com"

# Networks and banks run once they have an image (make image IMAGE=switch) and keys: docs/switch-in-aws.md.
# switch = {
#   run            = true
#   acquirer_cidrs = ["10.20.0.0/16"]
# }

# Where the books count, use COMPLIANCE: then nobody deletes an anchor within these days, and nobody the bucket either.
anchors = {
  lock_mode = "GOVERNANCE"
  lock_days = 30
}

tags                = { Environment = "dev" }
deletion_protection = false
