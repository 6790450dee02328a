# Alarms: one for each entry of the catalogue and each name of its kind, all telling the same topic when they begin and when
# they end, and one over those that put payments at risk.

locals {
  # Names are composed, so that dashboards and the alarm over all need no alarm to exist first.
  alarm_names = { for key in keys(local.alarms) : key => "${var.platform.name_prefix}-${key}" }
  alarm_arns  = { for key, name in local.alarm_names : key => "arn:${var.platform.partition}:cloudwatch:${var.platform.region}:${var.platform.account_id}:alarm:${name}" }

  comparisons = { above = "GreaterThanThreshold", below = "LessThanThreshold" }

  severities = {
    page   = "Severity page: wake somebody."
    ticket = "Severity ticket: next morning."
  }

  at_risk = concat(
    [for key, alarm in local.alarms : local.alarm_names[key] if alarm.risk],
    [for name, alarm in var.other_alarms : name if alarm.risk],
  )
  risk_rule = join(" OR ", [for name in local.at_risk : "ALARM(\"${name}\")"])
  risk_name = "${var.platform.name_prefix}-payments-at-risk"
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = var.alarms_run ? local.alarms : {}

  alarm_name          = local.alarm_names[each.key]
  alarm_description   = "${each.value.title}. What it says, what is at stake and what to do: ${each.value.runbook}. ${local.severities[each.value.severity]}${each.value.risk ? " Payments are at risk." : ""}"
  comparison_operator = local.comparisons[each.value.comparison]
  threshold           = each.value.threshold
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.datapoints
  treat_missing_data  = each.value.treat_missing
  alarm_actions       = [var.alerts_topic_arn]
  ok_actions          = [var.alerts_topic_arn]

  # Either one metric, or math over some.
  namespace          = each.value.expression == null ? each.value.uses.value.namespace : null
  metric_name        = each.value.expression == null ? each.value.uses.value.metric : null
  dimensions         = each.value.expression == null ? each.value.uses.value.dimensions : null
  period             = each.value.expression == null ? each.value.period : null
  statistic          = each.value.expression == null && !startswith(try(each.value.uses.value.statistic, "p"), "p") ? each.value.uses.value.statistic : null
  extended_statistic = each.value.expression == null && startswith(try(each.value.uses.value.statistic, ""), "p") ? each.value.uses.value.statistic : null

  dynamic "metric_query" {
    for_each = each.value.expression == null ? [] : [each.value.expression]

    content {
      id          = "result"
      expression  = metric_query.value
      label       = each.value.title
      return_data = true
    }
  }

  dynamic "metric_query" {
    for_each = each.value.expression == null ? {} : each.value.uses

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.statistic
        period      = each.value.period
      }
    }
  }
}

resource "aws_cloudwatch_composite_alarm" "payments_at_risk" {
  count = var.alarms_run ? 1 : 0

  alarm_name        = local.risk_name
  alarm_description = "Approved payments may not get posted, or cards not be answered: at least one of ${length(local.at_risk)} alarms is raised. Where to look first: docs/alarms.md#payments-at-risk. ${local.severities.page}"
  alarm_rule        = local.risk_rule
  alarm_actions     = [var.alerts_topic_arn]
  ok_actions        = [var.alerts_topic_arn]

  lifecycle {
    # CloudWatch's own limits; see PutCompositeAlarm.
    precondition {
      condition     = length(local.at_risk) <= 100 && length(local.risk_rule) <= 10240
      error_message = "CloudWatch takes 100 alarms and 10,240 letters for an alarm over others; there are ${length(local.at_risk)} that put payments at risk. Set `risk: false` for some in config/figures.yaml."
    }
  }

  # CloudWatch refuses the names of alarms that it does not know.
  depends_on = [aws_cloudwatch_metric_alarm.this]
}
