locals {
  arn_prefix = "arn:${var.platform.partition}:sqs:${var.platform.region}:${var.platform.account_id}:"
  name       = "${var.platform.name_prefix}-${var.name}"
  names      = { main = local.name, dead = "${local.name}-dlq" }

  # Lists of at most one statement: an emulator that speaks plain HTTP and checks policies would deny everything.
  tls_only = { for role, name in local.names : role => [for statement in [{
    Sid       = "OnlyOverTls"
    Effect    = "Deny"
    Principal = { AWS = "*" }
    Action    = ["sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"]
    Resource  = "${local.arn_prefix}${name}"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }] : statement if !var.platform.emulator] }

  dead_letter_statements = concat(local.tls_only.dead, [for statement in [{
    Sid       = "UndeliveredByRules"
    Effect    = "Allow"
    Principal = { Service = "events.amazonaws.com" }
    Action    = ["sqs:SendMessage"]
    Resource  = "${local.arn_prefix}${local.names.dead}"
    Condition = { ArnEquals = { "aws:SourceArn" = var.dead_letter_rule_arns } }
  }] : statement if length(var.dead_letter_rule_arns) > 0])
}

# Policies stand inside the queues: a separate resource doubles the half minute that the provider waits for each.
# The ARNs are therefore composed from names.
resource "aws_sqs_queue" "this" {
  count = var.buffered ? 1 : 0

  name                              = local.names.main
  visibility_timeout_seconds        = var.visibility_timeout_seconds
  message_retention_seconds         = 4 * 24 * 3600
  kms_master_key_id                 = var.platform.events_key_arn
  kms_data_key_reuse_period_seconds = 300

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.platform.max_receive_count
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.tls_only.main, [
      {
        Sid       = "OwnRule"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = "${local.arn_prefix}${local.names.main}"
        Condition = { ArnEquals = { "aws:SourceArn" = var.rule_arn } }
      },
    ])
  })
}

resource "aws_sqs_queue" "dead" {
  name                              = local.names.dead
  message_retention_seconds         = 14 * 24 * 3600
  kms_master_key_id                 = var.platform.events_key_arn
  kms_data_key_reuse_period_seconds = 300

  redrive_allow_policy = var.buffered ? jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = ["${local.arn_prefix}${local.names.main}"]
  }) : jsonencode({ redrivePermission = "denyAll" })

  policy = length(local.dead_letter_statements) > 0 ? jsonencode({ Version = "2012-10-17", Statement = local.dead_letter_statements }) : null
}
