# The ledger's database: Aurora PostgreSQL Serverless v2, a writer and readers in other zones. Storage is in three zones
# whatever the instances are; a reader is what makes the loss of the writer's zone a matter of half a minute.

locals {
  name      = "${var.platform.name_prefix}-ledger"
  instances = { for number in range(1 + var.settings.readers) : tostring(number + 1) => number }

  # What the database does otherwise than by default.
  parameters = {
    # Nobody speaks to it in clear.
    "rds.force_ssl" = "1"

    # Who came and went, what waited for locks, and what changed the schema. Never a statement with its values: neither a
    # slow one (Performance Insights has those, without values) nor one that failed, and no details, which quote keys.
    log_connections            = "1"
    log_disconnections         = "1"
    log_lock_waits             = "1"
    log_statement              = "ddl"
    log_min_duration_statement = "-1"
    log_min_error_statement    = "panic"
    log_error_verbosity        = "terse"

    # A session that stopped in the midst of a transaction holds locks, and keeps vacuum from its work. Functions ask for
    # less themselves; this one is for people.
    idle_in_transaction_session_timeout = "60000"

    # `postrail trace` says when a payment was committed.
    track_commit_timestamp = "1"
  }

  # Read when the server starts; the others at once.
  static_parameters = ["track_commit_timestamp"]
}

resource "aws_db_subnet_group" "this" {
  name        = local.name
  description = "Where the ledger's database is."
  subnet_ids  = var.subnet_ids
}

resource "aws_rds_cluster_parameter_group" "this" {
  name_prefix = "${local.name}-"
  description = "The ledger's database: TLS alone, and logs without values."
  family      = "aurora-postgresql16"

  dynamic "parameter" {
    for_each = local.parameters
    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = contains(local.static_parameters, parameter.key) ? "pending-reboot" : "immediate"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Made beforehand: RDS would make it without key and without end.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/rds/cluster/${local.name}/postgresql"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.platform.logs_key_arn
}

resource "aws_rds_cluster" "this" {
  #checkov:skip=CKV2_AWS_27:statements name accounts and amounts: slow ones, changes of schema and logins are logged, and no values
  #checkov:skip=CKV_AWS_133:1 to 35 days, as `ledger.backup_days` says; the variable takes nothing else
  #checkov:skip=CKV2_AWS_8:continuous backups of 1 to 35 days are Aurora's own; a plan of AWS Backup besides is for the account's operator
  cluster_identifier = local.name
  engine             = "aurora-postgresql"
  engine_mode        = "provisioned" # which is what serverless v2 is
  engine_version     = var.settings.engine_version
  database_name      = var.settings.dbname

  serverlessv2_scaling_configuration {
    min_capacity = var.settings.acu_min
    max_capacity = var.settings.acu_max
  }

  # The owner of the schemas. RDS makes the password, keeps it in a secret of its own and changes it every week; it is
  # neither here nor in the state, and two functions alone may read it: for migrations and for rotations.
  master_username               = "postrail_owner"
  manage_master_user_password   = true
  master_user_secret_kms_key_id = var.ledger_key_arn

  iam_database_authentication_enabled = true
  db_subnet_group_name                = aws_db_subnet_group.this.name
  vpc_security_group_ids              = var.security_group_ids
  db_cluster_parameter_group_name     = aws_rds_cluster_parameter_group.this.name
  storage_encrypted                   = true
  kms_key_id                          = var.ledger_key_arn
  enabled_cloudwatch_logs_exports     = var.telemetry_run ? ["postgresql"] : []

  backup_retention_period      = var.settings.backup_days # any second of it can be restored
  preferred_backup_window      = "01:00-02:00"
  preferred_maintenance_window = "sun:03:00-sun:04:00"
  copy_tags_to_snapshot        = true
  deletion_protection          = var.deletion_protection
  delete_automated_backups     = !var.deletion_protection
  skip_final_snapshot          = !var.deletion_protection
  final_snapshot_identifier    = "${local.name}-final"

  lifecycle {
    # RDS brings in minor releases by itself, in the maintenance window, and a plan must not ask to go back.
    ignore_changes = [engine_version]
  }

  depends_on = [aws_cloudwatch_log_group.this]
}

resource "aws_rds_cluster_instance" "this" {
  #checkov:skip=CKV_AWS_353:on, but for a target that has no telemetry of databases

  for_each = local.instances

  identifier         = "${local.name}-${each.key}"
  cluster_identifier = aws_rds_cluster.this.id
  engine             = aws_rds_cluster.this.engine
  instance_class     = "db.serverless"
  availability_zone  = length(var.zones) == 0 ? null : var.zones[each.value % length(var.zones)]

  # The first reader follows the writer's size, so that it can take over at once; others follow their own work.
  promotion_tier = min(each.value, 2)

  publicly_accessible        = false
  auto_minor_version_upgrade = true
  copy_tags_to_snapshot      = true
  ca_cert_identifier         = "rds-ca-rsa2048-g1" # among the roots in the functions' layer

  performance_insights_enabled          = var.telemetry_run
  performance_insights_kms_key_id       = var.telemetry_run ? var.ledger_key_arn : null
  performance_insights_retention_period = var.telemetry_run ? 7 : null # days; longer is paid for
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn

  lifecycle {
    # After a failover the zones stay, and the writer is another: RDS may also move one when its zone has no room.
    ignore_changes = [availability_zone]
  }

  depends_on = [aws_iam_role_policy_attachment.monitoring]
}

resource "aws_iam_role" "monitoring" {
  name        = "${local.name}-monitoring"
  description = "Lets RDS write the operating system's figures of the ledger's database."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.platform.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${var.platform.partition}:rds:${var.platform.region}:${var.platform.account_id}:db:${local.name}-*" }
      }
    }]
  })
}

# AWS's own policy: one log group, RDSOSMetrics, that all databases of an account share.
resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${var.platform.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
