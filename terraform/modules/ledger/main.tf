# The way to the ledger, in one of two ways. Either the database is made here (database.tf, proxy.tf): then functions log in at
# a proxy with tokens signed by their own roles, and there is no password for them to know. Or it exists (external.tf): then
# its credentials are in a secret that they may read.

locals {
  external = var.database.host != null

  functions_vpc = { subnet_ids = var.network.subnet_ids, security_group_ids = var.network.security_group_ids.functions }
  owners_vpc    = { subnet_ids = var.network.subnet_ids, security_group_ids = var.network.security_group_ids.owners }

  # Keys are opened by the service that keeps the secret, in the name of who may read that.
  use_key = {
    sid       = "UseLedgerKey"
    actions   = ["kms:Decrypt"]
    resources = [var.ledger_key_arn]
    condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.platform.region}.amazonaws.com" } }
  }

  # Nobody deletes the current one with the state of a plan in mind: secrets come back for 30 days.
  recovery_window_in_days = var.deletion_protection ? 30 : 0

  statements  = local.external ? local.external_statements : local.proxy_statements
  environment = local.external ? local.external_environment : local.proxy_environment
}

# In the owners' group, which alone reaches the database past the proxy.
module "migrate" {
  source = "../function"

  platform        = var.platform
  bus_name        = var.bus_name
  name            = "migrate_ledger"
  description     = "Brings the ledger's schema up to date, and its users' rights."
  timeout_seconds = 300
  environment     = local.external ? local.external_environment : local.owner_environment
  statements      = local.external ? local.external_statements : local.migration_statements
  vpc             = local.external ? local.functions_vpc : local.owners_vpc
}

resource "aws_lambda_invocation" "migrate" {
  count = var.database.migrate ? 1 : 0

  function_name = module.migrate.name
  input         = jsonencode({ reason = "deployment" })

  # Migrations travel in the archive. Running those again that are in place does nothing.
  triggers = {
    code   = module.migrate.code_hash
    secret = local.external ? aws_secretsmanager_secret_version.ledger[0].version_id : aws_secretsmanager_secret.application[0].id
  }
}

moved {
  from = aws_secretsmanager_secret.ledger
  to   = aws_secretsmanager_secret.ledger[0]
}

moved {
  from = aws_secretsmanager_secret_version.ledger
  to   = aws_secretsmanager_secret_version.ledger[0]
}
