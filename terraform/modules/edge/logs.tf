# Logs of the edge are where the edge is managed, with a key of their own there: keys do not leave their region.

resource "aws_kms_key" "logs" {
  description             = "Postrail: logs of the edge"
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_protection ? 30 : 7

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Changes, rotates and deletes the key, and reads nothing with it.
        Sid       = "AccountAdministers"
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.platform.partition}:iam::${var.platform.account_id}:root" }
        Action = [
          "kms:CancelKeyDeletion",
          "kms:CreateAlias",
          "kms:DeleteAlias",
          "kms:DescribeKey",
          "kms:DisableKey",
          "kms:DisableKeyRotation",
          "kms:EnableKey",
          "kms:EnableKeyRotation",
          "kms:GetKeyPolicy",
          "kms:GetKeyRotationStatus",
          "kms:ListGrants",
          "kms:ListKeyPolicies",
          "kms:ListResourceTags",
          "kms:PutKeyPolicy",
          "kms:RevokeGrant",
          "kms:ScheduleKeyDeletion",
          "kms:TagResource",
          "kms:UntagResource",
          "kms:UpdateAlias",
          "kms:UpdateKeyDescription",
        ]
        Resource = "*" # in a key policy: this key
      },
      {
        Sid       = "LogsOfThisEdge"
        Effect    = "Allow"
        Principal = { Service = "logs.us-east-1.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
        Resource  = "*"
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = [
          for name in local.log_groups : "arn:${var.platform.partition}:logs:us-east-1:${var.platform.account_id}:log-group:${name}"
        ] } }
      },
    ]
  })
}

resource "aws_kms_alias" "logs" {
  name          = "alias/${local.name}-logs"
  target_key_id = aws_kms_key.logs.key_id
}

locals {
  # Prefixes that AWS demands or grants rights for.
  log_groups = { firewall = "aws-waf-logs-${local.name}", requests = "/aws/vendedlogs/cloudfront/${local.name}" }
}

resource "aws_cloudwatch_log_group" "firewall" {
  name              = local.log_groups.firewall
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = aws_kms_key.logs.arn
}

resource "aws_cloudwatch_log_group" "requests" {
  name              = local.log_groups.requests
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = aws_kms_key.logs.arn
}

resource "aws_cloudwatch_log_delivery_source" "requests" {
  for_each = aws_cloudfront_distribution.this

  name         = "${local.name}-${each.key}"
  log_type     = "ACCESS_LOGS"
  resource_arn = each.value.arn
}

resource "aws_cloudwatch_log_delivery_destination" "requests" {
  name          = local.name
  output_format = "json"

  delivery_destination_configuration {
    destination_resource_arn = aws_cloudwatch_log_group.requests.arn
  }
}

resource "aws_cloudwatch_log_delivery" "requests" {
  for_each = aws_cloudwatch_log_delivery_source.requests

  delivery_source_name     = each.value.name
  delivery_destination_arn = aws_cloudwatch_log_delivery_destination.requests.arn

  # Who called, when, and how it ended. No path, query or cookie: they hold accounts, and could hold tokens.
  record_fields = [
    "date",
    "time",
    "c-ip",
    "cs-method",
    "sc-status",
    "cs-bytes",
    "sc-bytes",
    "time-taken",
    "ssl-protocol",
    "ssl-cipher",
    "x-edge-location",
    "x-edge-request-id",
    "x-edge-result-type",
    "x-edge-detailed-result-type",
    "x-host-header",
  ]
}
