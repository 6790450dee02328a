# One key per class of data, so that the right to read one class never implies another.

locals {
  root_access = {
    Sid       = "AccountDelegatesToIAM"
    Effect    = "Allow"
    Principal = { AWS = "arn:${var.platform.partition}:iam::${var.platform.account_id}:root" }
    # A key policy that the account itself cannot change locks everybody out for ever: KMS's own default statement.
    Action   = "kms:*"
    Resource = "*"
  }

  # EventBridge encrypts what the bus stores, and writes to encrypted queues and topics, in its own name.
  eventbridge_access = {
    Sid       = "EventBridgeOfThisAccount"
    Effect    = "Allow"
    Principal = { Service = "events.amazonaws.com" }
    Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    Resource  = "*" # in a key policy: this key
    Condition = { StringEquals = { "aws:SourceAccount" = var.platform.account_id } }
  }

  # So that an alarm reaches an encrypted topic.
  cloudwatch_access = {
    Sid       = "CloudWatchOfThisAccount"
    Effect    = "Allow"
    Principal = { Service = "cloudwatch.amazonaws.com" }
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = "*" # in a key policy: this key
    Condition = { StringEquals = { "aws:SourceAccount" = var.platform.account_id } }
  }

  # CloudWatch Logs encrypts with a customer's key in its own name, for the log groups of this copy and no others.
  logs_access = {
    Sid       = "LogsOfThisCopy"
    Effect    = "Allow"
    Principal = { Service = "logs.${var.platform.region}.amazonaws.com" }
    Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
    Resource  = "*" # in a key policy: this key
    Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = [
      "arn:${var.platform.partition}:logs:${var.platform.region}:${var.platform.account_id}:log-group:/aws/*/${var.platform.name_prefix}-*",
    ] } }
  }

  service_access = {
    events = [local.eventbridge_access, local.cloudwatch_access]
    logs   = [local.logs_access]
  }

  keys = {
    anchors = "Postrail: anchors of the ledger"
    batch   = "Postrail: batch files and their results"
    cards   = "Postrail: card numbers"
    events  = "Postrail: bus, queues and topics"
    logs    = "Postrail: logs of the switch and the API"
    tables  = "Postrail: DynamoDB tables"
    parked  = "Postrail: parked events"
    ledger  = "Postrail: ledger credentials"
    switch  = "Postrail: keys and certificates of the switch"
  }
}

resource "aws_kms_key" "this" {
  for_each = local.keys

  description             = each.value
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_protection ? 30 : 7

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = flatten([local.root_access, [for name, statements in local.service_access : statements if name == each.key]])
  })
}

resource "aws_kms_alias" "this" {
  for_each = local.keys

  name          = "alias/${var.platform.name_prefix}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
