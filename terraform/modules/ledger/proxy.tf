# The proxy before the database. Functions come and go by the hundred, and each has a connection of its own: to the proxy,
# which passes them to fewer at the database, keeps them while another instance takes over as writer, and lets nobody in but
# by a token signed with a role that may `rds-db:connect` as this one user.

locals {
  proxy_name = "${var.platform.name_prefix}-ledger"

  proxy_environment = local.external ? {} : {
    POSTRAIL_LEDGER_AUTH     = "iam"
    POSTRAIL_LEDGER_HOST     = aws_db_proxy.this[0].endpoint
    POSTRAIL_LEDGER_PORT     = tostring(module.database[0].cluster.port)
    POSTRAIL_LEDGER_DBNAME   = module.database[0].cluster.dbname
    POSTRAIL_LEDGER_USERNAME = local.application_role
  }

  proxy_statements = local.external ? [] : [{
    sid     = "ConnectToLedger"
    actions = ["rds-db:connect"]
    # The proxy by the id in its ARN, arn:aws:rds:region:account:db-proxy:prx-..., and one user of its database.
    resources = ["arn:${var.platform.partition}:rds-db:${var.platform.region}:${var.platform.account_id}:dbuser:${element(split(":", aws_db_proxy.this[0].arn), 6)}/${local.application_role}"]
    condition = {}
  }]
}

resource "aws_iam_role" "proxy" {
  count = local.external ? 0 : 1

  name        = "${local.proxy_name}-proxy"
  description = "Lets the ledger's proxy read by which password it logs in at the database."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "proxy" {
  count = local.external ? 0 : 1

  name = "proxy"
  role = aws_iam_role.proxy[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadApplicationSecret"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = [aws_secretsmanager_secret.application[0].arn]
      },
      {
        Sid       = local.use_key.sid
        Effect    = "Allow"
        Action    = local.use_key.actions
        Resource  = local.use_key.resources
        Condition = local.use_key.condition
      },
    ]
  })
}

# Made beforehand: RDS would make it without key and without end.
resource "aws_cloudwatch_log_group" "proxy" {
  count = local.external ? 0 : 1

  name              = "/aws/rds/proxy/${local.proxy_name}"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.platform.logs_key_arn
}

resource "aws_db_proxy" "this" {
  count = local.external ? 0 : 1

  name                   = local.proxy_name
  engine_family          = "POSTGRESQL"
  role_arn               = aws_iam_role.proxy[0].arn
  vpc_subnet_ids         = var.network.database_subnet_ids
  vpc_security_group_ids = var.network.security_group_ids.proxy
  require_tls            = true
  debug_logging          = false # it would write statements
  idle_client_timeout    = 1800  # seconds; a function that was not called for so long connects anew

  auth {
    auth_scheme = "SECRETS"
    description = "The role of functions and tasks."
    iam_auth    = "REQUIRED"
    secret_arn  = aws_secretsmanager_secret.application[0].arn
  }

  # It looks for the password as soon as it is there.
  depends_on = [aws_iam_role_policy.proxy, aws_cloudwatch_log_group.proxy, aws_lambda_invocation.migrate]
}

resource "aws_db_proxy_default_target_group" "this" {
  count = local.external ? 0 : 1

  db_proxy_name = aws_db_proxy.this[0].name

  connection_pool_config {
    max_connections_percent      = 90 # the rest is for migrations, rotations and people
    max_idle_connections_percent = 50
    connection_borrow_timeout    = 10 # seconds; who waits longer is a message that comes again
  }
}

resource "aws_db_proxy_target" "this" {
  count = local.external ? 0 : 1

  db_proxy_name         = aws_db_proxy.this[0].name
  target_group_name     = aws_db_proxy_default_target_group.this[0].name
  db_cluster_identifier = module.database[0].cluster.id
}
