mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform = {
    name_prefix        = "postrail-test"
    partition          = "aws"
    account_id         = "111122223333"
    region             = "eu-west-2"
    emulator           = false
    events_key_arn     = "arn:aws:kms:eu-west-2:111122223333:key/events"
    zip_dir            = "../build"
    architecture       = "arm64"
    layer_arns         = []
    tracing            = false
    log_level          = "INFO"
    log_retention_days = 30
    logs_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/logs"
    functions_key_arn  = "arn:aws:kms:eu-west-2:111122223333:key/functions"
  }
  bus_name = "postrail-test-payments"
  database = {
    port           = 5432, dbname = "ledger", sslmode = "verify-full", password_version = 1, migrate = true
    engine_version = "16.8", acu_min = 1, acu_max = 16, readers = 2, backup_days = 35, rotation_days = 30
  }
  network = {
    subnet_ids          = ["subnet-1", "subnet-2", "subnet-3"]
    database_subnet_ids = ["subnet-4", "subnet-5", "subnet-6"]
    database_zones      = ["eu-west-2a", "eu-west-2b", "eu-west-2c"]
    security_group_ids  = { functions = ["sg-functions"], owners = ["sg-owners"], proxy = ["sg-proxy"], database = ["sg-database"] }
  }
  ledger_key_arn      = "arn:aws:kms:eu-west-2:111122223333:key/ledger"
  telemetry_run       = true
  deletion_protection = true
  password            = "not-a-real-one" # unused where the database is made; a test must set what is ephemeral

  # For the module `database` alone.
  settings           = { dbname = "ledger", engine_version = "16.8", acu_min = 1, acu_max = 16, readers = 2, backup_days = 35 }
  subnet_ids         = ["subnet-4", "subnet-5", "subnet-6"]
  zones              = ["eu-west-2a", "eu-west-2b", "eu-west-2c"]
  security_group_ids = ["sg-database"]
}

run "the_database_is_encrypted_and_kept" {
  module {
    source = "./modules/database"
  }

  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.kms_key_id == var.ledger_key_arn && alltrue([for instance in aws_rds_cluster_instance.this : instance.performance_insights_enabled && instance.performance_insights_kms_key_id == var.ledger_key_arn])
    error_message = "Storage, backups and measurements under the ledger's own key."
  }

  assert {
    condition     = aws_rds_cluster.this.backup_retention_period == 35 && aws_rds_cluster.this.copy_tags_to_snapshot && !aws_rds_cluster.this.delete_automated_backups
    error_message = "Any second of 35 days can be restored, also after the cluster is gone."
  }

  assert {
    condition     = aws_rds_cluster.this.deletion_protection && !aws_rds_cluster.this.skip_final_snapshot && aws_rds_cluster.this.final_snapshot_identifier == "postrail-test-ledger-final"
    error_message = "Not deleted by mistake, and never without a last snapshot."
  }

  assert {
    condition     = aws_rds_cluster.this.enabled_cloudwatch_logs_exports == toset(["postgresql"]) && aws_cloudwatch_log_group.this.name == "/aws/rds/cluster/postrail-test-ledger/postgresql" && aws_cloudwatch_log_group.this.kms_key_id == var.platform.logs_key_arn && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "Logs are exported, into a group that is encrypted and ends."
  }
}

run "the_loss_of_a_zone_leaves_two" {
  module {
    source = "./modules/database"
  }

  assert {
    condition     = [for instance in values(aws_rds_cluster_instance.this) : instance.availability_zone] == ["eu-west-2a", "eu-west-2b", "eu-west-2c"] && aws_db_subnet_group.this.subnet_ids == toset(var.subnet_ids)
    error_message = "Writer and readers are in different zones."
  }

  assert {
    condition     = [for instance in values(aws_rds_cluster_instance.this) : instance.promotion_tier] == [0, 1, 2] && alltrue([for instance in aws_rds_cluster_instance.this : instance.instance_class == "db.serverless" && !instance.publicly_accessible && instance.auto_minor_version_upgrade && instance.monitoring_interval == 60])
    error_message = "The first reader follows the writer's size; nobody reaches one from outside."
  }
}

run "nobody_logs_in_in_clear_or_with_a_password_that_terraform_knows" {
  module {
    source = "./modules/database"
  }

  assert {
    condition     = { for parameter in aws_rds_cluster_parameter_group.this.parameter : parameter.name => parameter.value }["rds.force_ssl"] == "1" && aws_rds_cluster.this.iam_database_authentication_enabled
    error_message = "TLS alone, and tokens are known."
  }

  assert {
    condition     = aws_rds_cluster.this.manage_master_user_password && aws_rds_cluster.this.master_user_secret_kms_key_id == var.ledger_key_arn && aws_rds_cluster.this.master_password == null
    error_message = "RDS makes, keeps and changes the owner's password."
  }

  assert {
    condition = alltrue([
      for name, value in { log_min_duration_statement = "-1", log_min_error_statement = "panic", log_error_verbosity = "terse", log_statement = "ddl" } :
      one([for parameter in aws_rds_cluster_parameter_group.this.parameter : parameter.value if parameter.name == name]) == value
    ])
    error_message = "No statement is logged with its values."
  }

  assert {
    condition     = aws_rds_cluster.this.vpc_security_group_ids == toset(["sg-database"])
    error_message = "Only the database's own group."
  }
}

run "sizes_that_aurora_does_not_know_are_refused" {
  command = plan

  variables {
    settings = { dbname = "ledger", engine_version = "15.10", acu_min = 0.2, acu_max = 300, readers = 16, backup_days = 0 }
  }

  module {
    source = "./modules/database"
  }

  expect_failures = [var.settings]
}

run "functions_enter_by_a_token_at_the_proxy" {
  module {
    source = "./modules/ledger"
  }

  assert {
    condition     = aws_db_proxy.this[0].require_tls && !aws_db_proxy.this[0].debug_logging && one(aws_db_proxy.this[0].auth).iam_auth == "REQUIRED" && one(aws_db_proxy.this[0].auth).secret_arn == aws_secretsmanager_secret.application[0].arn && aws_db_proxy.this[0].vpc_security_group_ids == toset(["sg-proxy"])
    error_message = "TLS and a signed token, or nobody gets in."
  }

  assert {
    condition = jsonencode(output.access.statements) == jsonencode([{
      sid       = "ConnectToLedger"
      actions   = ["rds-db:connect"]
      resources = ["arn:aws:rds-db:eu-west-2:111122223333:dbuser:prx-0123456789abcdef0/postrail_app"]
      condition = {}
    }])
    error_message = "One right: to connect to this proxy as this user."
  }

  assert {
    condition = jsonencode(output.access.environment) == jsonencode({
      POSTRAIL_LEDGER_AUTH     = "iam"
      POSTRAIL_LEDGER_HOST     = "postrail-test-ledger.proxy-0123456789ab.eu-west-2.rds.amazonaws.com"
      POSTRAIL_LEDGER_PORT     = "5432"
      POSTRAIL_LEDGER_DBNAME   = "ledger"
      POSTRAIL_LEDGER_USERNAME = "postrail_app"
    }) && output.access.vpc.security_group_ids == tolist(["sg-functions"])
    error_message = "Functions are told where the proxy is, and no secret."
  }

  assert {
    condition     = flatten([for statement in jsondecode(aws_iam_role_policy.proxy[0].policy).Statement : statement.Action]) == ["secretsmanager:GetSecretValue", "kms:Decrypt"] && one(jsondecode(aws_iam_role_policy.proxy[0].policy).Statement[0].Resource) == aws_secretsmanager_secret.application[0].arn
    error_message = "The proxy reads the application's password and nothing else."
  }
}

run "the_password_of_the_proxy_is_made_and_changed_by_functions" {
  module {
    source = "./modules/ledger"
  }

  assert {
    condition     = length(aws_secretsmanager_secret_version.ledger) == 0 && aws_secretsmanager_secret.application[0].kms_key_id == var.ledger_key_arn && aws_secretsmanager_secret.application[0].recovery_window_in_days == 30
    error_message = "Terraform makes the secret and never its value."
  }

  assert {
    condition     = one(aws_secretsmanager_secret_rotation.application[0].rotation_rules).automatically_after_days == 30 && aws_secretsmanager_secret_rotation.application[0].rotation_lambda_arn == module.rotate[0].arn
    error_message = "It changes every thirty days."
  }

  assert {
    condition     = aws_lambda_permission.rotate[0].principal == "secretsmanager.amazonaws.com" && aws_lambda_permission.rotate[0].source_arn == aws_secretsmanager_secret.application[0].arn && aws_lambda_permission.rotate[0].source_account == "111122223333"
    error_message = "For this secret alone Secrets Manager may call."
  }

  assert {
    condition = jsonencode(module.rotate[0].rights) == jsonencode({
      WriteLogs       = ["logs:CreateLogStream", "logs:PutLogEvents"]
      ReadOwnSettings = ["kms:Decrypt"]
      AttachToNetwork = module.rotate[0].rights.AttachToNetwork
      ReadOwnerSecret = ["secretsmanager:GetSecretValue"]
      UseLedgerKey    = ["kms:Decrypt", "kms:GenerateDataKey"]
      RotatePassword  = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
    })
    error_message = "No more than the four steps of a rotation need."
  }

  assert {
    condition     = length(aws_lambda_invocation.migrate) == 1 && keys(output.functions) == ["migrate_ledger", "rotate_ledger_secret"]
    error_message = "A deployment migrates, and makes the first password."
  }
}

run "a_password_from_outside_is_in_no_plan" {
  variables {
    database = {
      host           = "ledger.test", username = "postrail", port = 5432, dbname = "ledger", sslmode = "verify-full", password_version = 3, migrate = true
      engine_version = "16.8", acu_min = 1, acu_max = 16, readers = 1, backup_days = 35, rotation_days = 30
    }
  }

  module {
    source = "./modules/ledger"
  }

  assert {
    condition     = aws_secretsmanager_secret_version.ledger[0].secret_string == null && aws_secretsmanager_secret_version.ledger[0].secret_string_wo == null && aws_secretsmanager_secret_version.ledger[0].secret_string_wo_version == 3
    error_message = "Written and not kept."
  }

  assert {
    condition     = aws_secretsmanager_secret.ledger[0].kms_key_id == var.ledger_key_arn && one(output.access.statements[0].resources) == output.secret_arn && jsonencode(keys(output.access.environment)) == jsonencode(["POSTRAIL_LEDGER_SECRET_ARN"])
    error_message = "Rights for this secret alone."
  }

  assert {
    condition     = length(module.database) == 0 && length(aws_db_proxy.this) == 0 && output.database == null && keys(output.functions) == ["migrate_ledger"]
    error_message = "Nothing is made for a database that is there."
  }

  assert {
    condition     = length(aws_lambda_invocation.migrate) == 1
    error_message = "A deployment migrates the ledger."
  }
}
