# Anchors: the ends of the ledger's hash chains, written every hour to a bucket that gives nothing back. Whoever rewrites
# the ledger with all its hashes cannot rewrite these, and `postrail ledger verify --anchor` tells.

locals {
  prefix = "ledger"
  uri    = "s3://${aws_s3_bucket.anchors.bucket}/${local.prefix}"

  # It cannot read, list or delete anchors, nor say how long they stay: the bucket's default retention does.
  statements = concat(var.ledger.statements, [
    {
      sid       = "WriteAnchors"
      actions   = ["s3:PutObject"]
      resources = ["${aws_s3_bucket.anchors.arn}/${local.prefix}/*"]
      condition = {}
    },
    {
      sid       = "AskForRetention"
      actions   = ["s3:GetBucketObjectLockConfiguration"]
      resources = [aws_s3_bucket.anchors.arn]
      condition = {}
    },
    {
      sid       = "UseAnchorsKey"
      actions   = ["kms:GenerateDataKey"]
      resources = [var.anchors_key_arn]
      condition = { StringEquals = { "kms:ViaService" = "s3.${var.platform.region}.amazonaws.com" } }
    },
  ])
}

module "anchor_ledger" {
  source = "../schedule"

  platform       = var.platform
  bus_name       = var.bus_name
  name           = "anchor_ledger"
  description    = "Keeps the ends of the ledger's hash chains out of reach."
  expression     = var.settings.schedule
  retry_attempts = 2 # the next tick is far away
  environment    = merge(var.ledger.environment, { POSTRAIL_ANCHORS_URI = local.uri })
  statements     = local.statements
  vpc            = var.ledger.vpc
}

# Counts what succeeded, so that it sees a failing function, a schedule that was switched off and one that was deleted.
resource "aws_cloudwatch_metric_alarm" "missing" {
  count = var.alarms_run ? 1 : 0

  alarm_name          = "${var.platform.name_prefix}-anchor-ledger-missing"
  alarm_description   = "No anchor of the ledger for ${var.settings.alarm_hours} hours. What it says, what is at stake and what to do: docs/alarms.md#anchor-ledger-missing. Severity ticket: next morning."
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = var.settings.alarm_hours
  datapoints_to_alarm = var.settings.alarm_hours
  treat_missing_data  = "breaching"
  alarm_actions       = [var.alerts_topic_arn]
  ok_actions          = [var.alerts_topic_arn]

  metric_query {
    id          = "kept"
    expression  = "invocations - FILL(errors, 0)"
    label       = "Anchors kept"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { invocations = "Invocations", errors = "Errors" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/Lambda"
        metric_name = metric_query.value
        dimensions  = { FunctionName = module.anchor_ledger.function.name }
        stat        = "Sum"
        period      = 3600
      }
    }
  }
}
