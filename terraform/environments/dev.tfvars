# A development account. Copy, adapt, and give the password as TF_VAR_ledger_password.
name_prefix = "postrail-dev"
region      = "eu-west-2"

# An existing PostgreSQL 15 or later, reachable from these subnets. From a VPC the functions also need a way to
# EventBridge, SQS, SNS, DynamoDB, KMS, Secrets Manager and S3: a NAT gateway or endpoints.
ledger = {
  host               = "ledger.example.internal"
  username           = "postrail"
  subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
  security_group_ids = ["sg-0123456789abcdef0"]
}

stages = {
  record_outcome = { delivery = "batch", timeout_seconds = 120 }
}

# The task for batch files uses the ledger's subnets and security groups, unless it gets its own here; it needs ECR, S3 and
# CloudWatch Logs besides.
batch = {
  cpu       = 2048
  memory_mb = 4096
}

# Who signs access tokens for the APIs.
token_issuer = "https://tokens.example.com"

# Networks and banks run once they have a place, an image (make image IMAGE=switch) and keys: docs/switch-in-aws.md.
# switch = {
#   vpc_id         = "vpc-0123456789abcdef0"
#   subnet_ids     = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
#   acquirer_cidrs = ["10.20.0.0/16"]
# }

# Where the books count, use COMPLIANCE: then nobody deletes an anchor within these days, and nobody the bucket either.
anchors = {
  lock_mode = "GOVERNANCE"
  lock_days = 30
}

tags                = { Environment = "dev" }
deletion_protection = false
