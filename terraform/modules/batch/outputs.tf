output "batch" {
  description = "The inbox, the task, and the command that a file starts."
  value = {
    inbox               = "s3://${aws_s3_bucket.inbox.id}/${local.incoming}"
    results             = "s3://${aws_s3_bucket.inbox.id}/${local.results}"
    bucket              = aws_s3_bucket.inbox.id
    cluster_arn         = aws_ecs_cluster.this.arn
    task_definition_arn = aws_ecs_task_definition.this.arn
    container           = local.container
    environment         = local.environment
    repository_url      = aws_ecr_repository.this.repository_url
    log_group           = aws_cloudwatch_log_group.task.name
    subnet_ids          = var.settings.subnet_ids
    security_group_ids  = var.settings.security_group_ids
    # False: no task runs, and the queue carries the commands to a runner.
    managed   = var.tasks_run
    queue_url = module.queue.queue.url
  }
}

output "dead_letter_queue" {
  description = "Files that no task could be started for."
  value       = module.queue.dead_letter_queue
}

output "subscriptions" {
  description = "The rules on the default bus by name: for which events, and where they lead."
  value = {
    (local.rule_names.start) = {
      bus         = "default"
      pattern     = aws_cloudwatch_event_rule.start.event_pattern
      target_arns = [aws_cloudwatch_event_target.start.arn]
    }
    (local.rule_names.failed) = {
      bus         = "default"
      pattern     = aws_cloudwatch_event_rule.failed.event_pattern
      target_arns = [aws_cloudwatch_event_target.failed.arn]
    }
  }
}

output "alarms" {
  description = "Alarms by name. None puts payments at risk at once: a file waits, and its run can be continued."
  value       = { for alarm in aws_cloudwatch_metric_alarm.slow : alarm.alarm_name => { arn = alarm.arn, risk = false } }
}
