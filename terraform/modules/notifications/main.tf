# What people must look at goes to the topic `alerts`; `notifications` is for the messages that leave for account holders.

locals {
  topics = toset(["alerts", "notifications"])

  # A conflict is alerted, a plain duplicate is everyday life: only the former's reason code matches. So is a payment that
  # its issuer undid before it was posted: net zero is what everybody wants of it.
  alert_patterns = {
    alerts           = { source = ["postrail"], detail-type = ["PaymentReferred", "PostingSequenceOverdue"] }
    alerts-failures  = { source = ["postrail"], detail-type = ["PaymentPostingFailed"], detail = { data = { reason_code = [{ anything-but = ["HOLD_RELEASED"] }] } } }
    alerts-conflicts = { source = ["postrail"], detail-type = ["DuplicateParked"], detail = { data = { reason_code = ["CONFLICT"] } } }
  }
}

resource "aws_sns_topic" "this" {
  for_each = local.topics

  name              = "${var.platform.name_prefix}-${each.key}"
  kms_master_key_id = var.platform.events_key_arn
}

resource "aws_sns_topic_policy" "this" {
  # Without a statement there is no policy.
  for_each = toset([for topic in local.topics : topic if !var.platform.emulator || topic == "alerts"])

  arn = aws_sns_topic.this[each.key].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for statement in [{
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }] : statement if !var.platform.emulator],
      [for statement in [
        {
          Sid       = "OwnRules"
          Effect    = "Allow"
          Principal = { Service = "events.amazonaws.com" }
          Action    = "sns:Publish"
          Resource  = aws_sns_topic.this[each.key].arn
          Condition = { ArnLike = { "aws:SourceArn" = concat([for rule in aws_cloudwatch_event_rule.alert : rule.arn], var.alerting_rule_arns) } }
        },
        {
          Sid       = "OwnAlarms"
          Effect    = "Allow"
          Principal = { Service = "cloudwatch.amazonaws.com" }
          Action    = "sns:Publish"
          Resource  = aws_sns_topic.this[each.key].arn
          Condition = { ArnLike = { "aws:SourceArn" = [
            "arn:${var.platform.partition}:cloudwatch:${var.platform.region}:${var.platform.account_id}:alarm:${var.platform.name_prefix}-*",
          ] } }
        },
      ] : statement if each.key == "alerts"],
    )
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alert_emails

  topic_arn = aws_sns_topic.this["alerts"].arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_event_rule" "alert" {
  for_each = local.alert_patterns

  name           = "${var.platform.name_prefix}-${each.key}"
  description    = "What people must look at."
  event_bus_name = var.bus.name
  event_pattern  = jsonencode(each.value)
}

resource "aws_cloudwatch_event_target" "alert" {
  for_each = local.alert_patterns

  rule           = aws_cloudwatch_event_rule.alert[each.key].name
  event_bus_name = var.bus.name
  target_id      = each.key
  arn            = aws_sns_topic.this["alerts"].arn

  dead_letter_config {
    arn = var.bus.undelivered_arn
  }

  retry_policy {
    maximum_event_age_in_seconds = var.platform.delivery_retry.age_seconds
    maximum_retry_attempts       = var.platform.delivery_retry.attempts
  }
}
