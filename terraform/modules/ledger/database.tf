# The database that is made here, its owner's functions, and the password of the role that everybody else uses.

locals {
  application_role = "postrail_app"

  # Roots of the database's certificate; lambdas/build.py puts them into the layer.
  ca_file = "/opt/ledger-ca.pem"

  owner_environment = local.external ? {} : {
    POSTRAIL_LEDGER_HOST           = module.database[0].cluster.endpoint
    POSTRAIL_LEDGER_PORT           = tostring(module.database[0].cluster.port)
    POSTRAIL_LEDGER_DBNAME         = module.database[0].cluster.dbname
    POSTRAIL_LEDGER_SECRET_ARN     = module.database[0].owner_secret_arn
    POSTRAIL_LEDGER_SSLMODE        = "verify-full"
    POSTRAIL_LEDGER_CA_FILE        = local.ca_file
    POSTRAIL_LEDGER_APP_SECRET_ARN = aws_secretsmanager_secret.application[0].arn
    POSTRAIL_LEDGER_APP_USERNAME   = local.application_role
  }

  read_owner = local.external ? [] : [
    {
      sid       = "ReadOwnerSecret"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [module.database[0].owner_secret_arn]
      condition = {}
    },
    merge(local.use_key, { actions = ["kms:Decrypt", "kms:GenerateDataKey"] }),
  ]

  migration_statements = local.external ? [] : concat(local.read_owner, [{
    sid       = "KeepFirstPassword"
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
    resources = [aws_secretsmanager_secret.application[0].arn]
    condition = {}
  }])

  rotation_statements = local.external ? [] : concat(local.read_owner, [{
    sid = "RotatePassword"
    actions = [
      "secretsmanager:DescribeSecret",
      "secretsmanager:GetSecretValue",
      "secretsmanager:PutSecretValue",
      "secretsmanager:UpdateSecretVersionStage",
    ]
    resources = [aws_secretsmanager_secret.application[0].arn]
    condition = {}
  }])
}

module "database" {
  source = "../database"
  count  = local.external ? 0 : 1

  platform            = var.platform
  settings            = var.database
  subnet_ids          = var.network.database_subnet_ids
  zones               = var.network.database_zones
  security_group_ids  = var.network.security_group_ids.database
  ledger_key_arn      = var.ledger_key_arn
  telemetry_run       = var.telemetry_run
  deletion_protection = var.deletion_protection
}

# Without a value: migrate_ledger makes the first password, rotate_ledger_secret every other. Only the proxy reads it.
resource "aws_secretsmanager_secret" "application" {
  count = local.external ? 0 : 1

  name                    = "${var.platform.name_prefix}-ledger-application"
  description             = "How the ledger's proxy logs in at the database, as ${local.application_role}."
  kms_key_id              = var.ledger_key_arn
  recovery_window_in_days = local.recovery_window_in_days
}

module "rotate" {
  source = "../function"
  count  = local.external ? 0 : 1

  platform        = var.platform
  bus_name        = var.bus_name
  name            = "rotate_ledger_secret"
  description     = "Changes the password by which the proxy reaches the ledger."
  timeout_seconds = 60
  environment     = local.owner_environment
  statements      = local.rotation_statements
  vpc             = local.owners_vpc
}

resource "aws_lambda_permission" "rotate" {
  count = local.external ? 0 : 1

  statement_id   = "RotateOnSchedule"
  action         = "lambda:InvokeFunction"
  function_name  = module.rotate[0].name
  principal      = "secretsmanager.amazonaws.com"
  source_account = var.platform.account_id
  source_arn     = aws_secretsmanager_secret.application[0].arn
}

resource "aws_secretsmanager_secret_rotation" "application" {
  #checkov:skip=CKV_AWS_304:as `ledger.rotation_days` says, which is 90 at most

  count = local.external || var.platform.emulator ? 0 : 1 # an emulator would rotate, and never stop

  secret_id           = aws_secretsmanager_secret.application[0].id
  rotation_lambda_arn = module.rotate[0].arn
  rotate_immediately  = false # the first password is as old as the deployment

  rotation_rules {
    automatically_after_days = var.database.rotation_days
  }

  # There must be a password before it can be changed.
  depends_on = [aws_lambda_permission.rotate, aws_lambda_invocation.migrate]
}
