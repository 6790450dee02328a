# What should not happen, and does not go by unseen. A refused attempt counts like one that succeeded: somebody tried.

locals {
  # Anybody but the vault's own roles in this account. Users and root have no role at all.
  stranger = "(${join(" || ", [
    "($.userIdentity.type != \"AssumedRole\")",
    "($.userIdentity.accountId != \"${var.platform.account_id}\")",
    "(${join(" && ", [for name in var.vault.role_names : "($.userIdentity.sessionContext.sessionIssuer.userName != \"${name}\")"])})",
  ])})"

  is_one_of = { for field, values in {
    guarded_keys = [for arn in var.guarded_key_arns : "($.resources[0].ARN = \"${arn}\")"]
    opened       = [for name in ["Decrypt", "Encrypt", "GenerateDataKey*", "ReEncrypt*"] : "($.eventName = \"${name}\")"]
    key_changes  = [for name in ["DisableKey", "PutKeyPolicy", "ScheduleKeyDeletion"] : "($.eventName = \"${name}\")"]
    trail        = [for name in ["DeleteTrail", "PutEventSelectors", "StopLogging", "UpdateTrail"] : "($.eventName = \"${name}\")"]
    deletions    = [for name in ["DeleteObject*", "PutObjectRetention"] : "($.eventName = \"${name}\")"]
  } : field => "(${join(" || ", values)})" }

  # The only data events of DynamoDB in this trail are the vault's, the only ones of S3 those of the named buckets.
  watched = {
    VaultReadByStranger = {
      title   = "Somebody but its own roles read or wrote the card vault"
      pattern = "{ ($.eventSource = \"dynamodb.amazonaws.com\") && ($.eventCategory = \"Data\") && ${local.stranger} }"
    }
    CardsKeyUsedByStranger = {
      title   = "Somebody but the vault's roles used the key of card numbers, and not by DynamoDB"
      pattern = "{ ($.eventSource = \"kms.amazonaws.com\") && ($.resources[0].ARN = \"${var.vault.key_arn}\") && ($.userIdentity.invokedBy NOT EXISTS) && ${local.is_one_of.opened} && ${local.stranger} }"
    }
    KeyChanged = {
      title   = "A key's policy was changed, or the key disabled or scheduled for deletion"
      pattern = "{ ($.eventSource = \"kms.amazonaws.com\") && ${local.is_one_of.key_changes} && ${local.is_one_of.guarded_keys} }"
    }
    TrailChanged = {
      title   = "A trail of this account was stopped, changed or deleted"
      pattern = "{ ($.eventSource = \"cloudtrail.amazonaws.com\") && ${local.is_one_of.trail} }"
    }
    EvidenceDeleted = {
      title   = "Somebody tried to delete anchors, parked events or batch files, or to change how long they stay"
      pattern = "{ ($.eventSource = \"s3.amazonaws.com\") && ($.eventCategory = \"Data\") && ${local.is_one_of.deletions} }"
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "watched" {
  for_each = var.alarms_run ? local.watched : {}

  name           = "${local.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.records.name
  pattern        = each.value.pattern

  metric_transformation {
    namespace = "Postrail/${var.platform.name_prefix}"
    name      = each.key
    value     = "1"
    unit      = "Count"
  }

  lifecycle {
    precondition {
      condition     = length(each.value.pattern) <= 1024
      error_message = "CloudWatch Logs takes patterns of 1,024 letters: name the vault's roles with a `*` where there are many."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "watched" {
  for_each = aws_cloudwatch_log_metric_filter.watched

  alarm_name          = each.value.name
  alarm_description   = "${local.watched[each.key].title}. Find who in ${aws_cloudwatch_log_group.records.name}, by eventName and userIdentity; end that session before asking why: docs/alarms.md#audit. Severity page: wake somebody."
  namespace           = each.value.metric_transformation[0].namespace
  metric_name         = each.value.metric_transformation[0].name
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alerts_topic_arn]
  ok_actions          = [var.alerts_topic_arn]
}
