# An object under incoming/ starts a task. S3 tells the default bus, so the rule is there and not on `payments`.

locals {
  events_arn = "arn:${var.platform.partition}:events:${var.platform.region}:${var.platform.account_id}"
  rule_names = { start = "${local.name}-start", failed = "${local.name}-failed" }
  rule_arns  = { for key, name in local.rule_names : key => "${local.events_arn}:rule/${name}" }

  # Patterns cannot say "this prefix, and none of these letters" of one field. So they say what no file is: a result, a
  # marker that a console makes for a folder, and a name with quotes or backslashes. EventBridge puts values into its
  # template as they are: a quote in a key would end the argument and begin one of its writer's choice.
  # What is under neither prefix starts a task that may not read it, and people hear of it: an inbox loses nothing in silence.
  object_pattern = {
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [aws_s3_bucket.inbox.id] }
      object = { key = [{ anything-but = { wildcard = ["${local.results}*", "*/", "*\"*", "*\\\\*"] } }] }
    }
  }

  # What RunTask gets besides the task definition. No shell reads it. The number of workers is said, since a container
  # sees the processors of its host and not its share of them.
  overrides = {
    containerOverrides = [{
      name = local.container
      command = [
        "batch", "run", "s3://<bucket>/<key>",
        "--results", "s3://<bucket>/${local.results}<key>.refused.jsonl",
        "--workers", tostring(var.settings.workers),
        "--json",
      ]
    }]
  }

  # jsonencode writes < and > by their numbers, where EventBridge looks for them in clear.
  input_template = replace(replace(jsonencode(local.overrides), "\\u003c", "<"), "\\u003e", ">")
}

# Dead letters: files that no task could be started for, and alerts that did not get through. Where tasks do not run, the
# queue in front of it carries the commands to a runner.
module "queue" {
  source = "../queue"

  platform                   = var.platform
  name                       = "batch"
  buffered                   = !var.tasks_run
  visibility_timeout_seconds = 60 # a runner holds on to the command at hand
  rule_arn                   = local.rule_arns.start
  dead_letter_rule_arns      = values(local.rule_arns)
}

resource "aws_cloudwatch_event_rule" "start" {
  name           = local.rule_names.start
  description    = "A file has come in: post it."
  event_bus_name = "default"
  event_pattern  = jsonencode(local.object_pattern)
}

resource "aws_cloudwatch_event_target" "start" {
  rule           = aws_cloudwatch_event_rule.start.name
  event_bus_name = aws_cloudwatch_event_rule.start.event_bus_name
  target_id      = "task"
  arn            = var.tasks_run ? aws_ecs_cluster.this.arn : module.queue.queue.arn
  role_arn       = var.tasks_run ? aws_iam_role.start.arn : null

  dynamic "ecs_target" {
    for_each = var.tasks_run ? [true] : []

    content {
      task_definition_arn     = aws_ecs_task_definition.this.arn
      task_count              = 1
      launch_type             = "FARGATE"
      platform_version        = "LATEST"
      enable_ecs_managed_tags = true
      propagate_tags          = "TASK_DEFINITION"

      network_configuration {
        subnets          = var.settings.subnet_ids
        security_groups  = var.settings.security_group_ids
        assign_public_ip = false
      }
    }
  }

  input_transformer {
    input_paths    = { bucket = "$.detail.bucket.name", key = "$.detail.object.key" }
    input_template = local.input_template
  }

  dead_letter_config {
    arn = module.queue.dead_letter_queue.arn
  }

  retry_policy {
    maximum_event_age_in_seconds = var.platform.delivery_retry.age_seconds
    maximum_retry_attempts       = var.platform.delivery_retry.attempts
  }

  lifecycle {
    precondition {
      condition     = !var.tasks_run || length(var.settings.subnet_ids) > 0
      error_message = "A Fargate task lives in subnets: `network` creates them, or names those of a VPC that is there."
    }
  }

  # The first file must find a task that may do its work.
  depends_on = [
    aws_iam_role_policy.execution,
    aws_iam_role_policy.start,
    aws_iam_role_policy.task,
  ]
}
