# The way to the ledger: its credentials in a secret, and the function that migrates its schema.

# The plain argument keeps the credentials in the state. The write-only one needs Terraform 1.11 and would shut out every
# older release that this configuration supports; the state must be encrypted anyway.
resource "aws_secretsmanager_secret" "ledger" {
  name                    = "${var.platform.name_prefix}-ledger"
  description             = "Where the ledger's database is and how to log in."
  kms_key_id              = var.ledger_key_arn
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "ledger" {
  secret_id = aws_secretsmanager_secret.ledger.id

  secret_string = jsonencode({
    host     = var.database.host
    port     = var.database.port
    dbname   = var.database.dbname
    username = var.database.username
    password = var.password
  })
}

locals {
  statements = [
    {
      sid       = "ReadLedgerSecret"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [aws_secretsmanager_secret.ledger.arn]
      condition = {}
    },
    {
      sid       = "UseLedgerKey"
      actions   = ["kms:Decrypt"]
      resources = [var.ledger_key_arn]
      condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.platform.region}.amazonaws.com" } }
    },
  ]
  environment = { POSTRAIL_LEDGER_SECRET_ARN = aws_secretsmanager_secret.ledger.arn }
}

module "migrate" {
  source = "../function"

  platform        = var.platform
  bus_name        = var.bus_name
  name            = "migrate_ledger"
  description     = "Brings the ledger's schema up to date."
  timeout_seconds = 300
  environment     = local.environment
  statements      = local.statements
  vpc             = var.vpc
}

resource "aws_lambda_invocation" "migrate" {
  count = var.database.migrate ? 1 : 0

  function_name = module.migrate.name
  input         = jsonencode({ reason = "deployment" })

  # Migrations travel in the archive. Running those again that are in place does nothing.
  triggers = {
    code   = module.migrate.code_hash
    secret = aws_secretsmanager_secret_version.ledger.version_id
  }
}
