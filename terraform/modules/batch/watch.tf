# A task that failed is told at once, with what to do; nothing is started again by itself, since a file that fails once
# mostly fails twice. A task that takes too long is told by alarm, and ends at its timeout.

locals {
  # By exit code; by what ended the task, when its container never ran; by what became of the container, when the kernel
  # killed it. UserInitiated: somebody stopped it, or StopTask did on our behalf.
  failure_pattern = {
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [aws_ecs_cluster.this.arn]
      lastStatus = ["STOPPED"]
      "$or" = [
        { containers = { exitCode = [{ anything-but = [0] }] } },
        { containers = { reason = [{ exists = true }] } },
        { stopCode = [{ anything-but = ["EssentialContainerExited"] }] },
      ]
    }
  }

  # One line for each, since a target takes lines of text as they are. An absent value is left empty.
  failure_text = join("\n", [for line in [
    "A batch run of ${local.name} failed.",
    "File: <file>",
    "Task: <task>",
    "Exit code: <exit_code>. Stopped: <stop_code>, <reason>",
    "Log group: ${aws_cloudwatch_log_group.task.name}",
    "What was posted stays posted, and nothing is posted twice: when the cause is gone, copy the file onto itself or run",
    "the same command, and the run goes on behind its last chunk.",
  ] : "\"${line}\""])
}

resource "aws_cloudwatch_event_rule" "failed" {
  name           = local.rule_names.failed
  description    = "A batch run failed: tell people."
  event_bus_name = "default"
  event_pattern  = jsonencode(local.failure_pattern)
}

resource "aws_cloudwatch_event_target" "failed" {
  rule           = aws_cloudwatch_event_rule.failed.name
  event_bus_name = aws_cloudwatch_event_rule.failed.event_bus_name
  target_id      = "alerts"
  arn            = var.alerts_topic_arn

  input_transformer {
    input_paths = {
      file      = "$.detail.overrides.containerOverrides[0].command[2]"
      task      = "$.detail.taskArn"
      exit_code = "$.detail.containers[0].exitCode"
      stop_code = "$.detail.stopCode"
      reason    = "$.detail.stoppedReason"
    }
    input_template = local.failure_text
  }

  dead_letter_config {
    arn = module.queue.dead_letter_queue.arn
  }

  retry_policy {
    maximum_event_age_in_seconds = var.platform.delivery_retry.age_seconds
    maximum_retry_attempts       = var.platform.delivery_retry.attempts
  }
}

resource "aws_cloudwatch_log_metric_filter" "seconds" {
  count = var.alarms_run ? 1 : 0

  name           = "${local.name}-seconds"
  log_group_name = aws_cloudwatch_log_group.task.name
  pattern        = "{ $.seconds >= 0 }" # the report that ends a run

  metric_transformation {
    namespace = "Postrail"
    name      = "${local.name}-seconds"
    value     = "$.seconds"
    unit      = "Seconds"
  }
}

resource "aws_cloudwatch_metric_alarm" "slow" {
  count = var.alarms_run ? 1 : 0

  alarm_name          = "${local.name}-slow"
  alarm_description   = "A batch run took over ${var.settings.alarm_minutes} minutes. What it says, what is at stake and what to do: docs/alarms.md#batch-slow. Severity ticket: next morning."
  namespace           = "Postrail"
  metric_name         = aws_cloudwatch_log_metric_filter.seconds[0].metric_transformation[0].name
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 60 * var.settings.alarm_minutes
  period              = 60
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alerts_topic_arn]
  ok_actions          = [var.alerts_topic_arn]
}
