# An existing database: somebody else looks after it, and says by which name and password it is entered.

locals {
  external_statements = local.external ? [
    {
      sid       = "ReadLedgerSecret"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [aws_secretsmanager_secret.ledger[0].arn]
      condition = {}
    },
    local.use_key,
  ] : []

  external_environment = local.external ? { POSTRAIL_LEDGER_SECRET_ARN = aws_secretsmanager_secret.ledger[0].arn } : {}
}

resource "aws_secretsmanager_secret" "ledger" {
  #checkov:skip=CKV2_AWS_57:the password is given from outside, with whoever looks after that database; a new one comes with password_version
  count = local.external ? 1 : 0

  name                    = "${var.platform.name_prefix}-ledger"
  description             = "Where the ledger's database is and how to log in."
  kms_key_id              = var.ledger_key_arn
  recovery_window_in_days = local.recovery_window_in_days
}

# Write-only: the password goes to the secret and into neither plan nor state. Terraform cannot see that it changed, so that
# `password_version` has to be raised with it.
resource "aws_secretsmanager_secret_version" "ledger" {
  count = local.external ? 1 : 0

  secret_id                = aws_secretsmanager_secret.ledger[0].id
  secret_string_wo_version = var.database.password_version

  secret_string_wo = jsonencode({
    host     = var.database.host
    port     = var.database.port
    dbname   = var.database.dbname
    username = var.database.username
    password = var.password
    sslmode  = var.database.sslmode
  })
}
