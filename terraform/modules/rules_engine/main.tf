# PaymentEnriched -> rule -> queue -> Pipe -> state machine -> apply_rules, decisions -> bus.
#
# With delivery realtime the rule starts the state machine itself, one execution for each event. Nobody waits for such
# an execution, so when it fails the state machine puts its own input into the dead-letter queue.
# With delivery batch the Pipe waits up to five minutes for ten events; more than ten would not fit into the 256 KB that
# a state may hold.

locals {
  name       = "${var.platform.name_prefix}-rules-engine"
  pipe_name  = "${var.platform.name_prefix}-rules"
  queue_name = "apply-rules"
  rule_name  = "${var.platform.name_prefix}-${local.queue_name}"
  buffered   = var.settings.delivery != "realtime"

  # Three tries of the function and of the bus, their pauses included, and never more than the five minutes after which
  # an EXPRESS execution is cut.
  engine_timeout_seconds = min(300, 3 * var.settings.timeout_seconds + 60)
  window_seconds         = coalesce(var.settings.batching_window_seconds, var.settings.delivery == "batch" ? 300 : 0)
}

module "queue" {
  source = "../queue"

  platform = var.platform
  name     = local.queue_name
  buffered = local.buffered
  # Composed, so that the slow queues need not wait for the bus and the rule.
  rule_arn                   = "${var.platform.rule_arn_prefix}${local.rule_name}"
  visibility_timeout_seconds = 2 * local.engine_timeout_seconds + local.window_seconds
}

module "velocity" {
  source = "../table"

  name                = "${var.platform.name_prefix}-velocity"
  hash_key            = "pk"
  expires             = true
  key_arn             = var.tables_key.arn
  deletion_protection = var.deletion_protection
}

module "function" {
  source = "../function"

  platform             = var.platform
  bus_name             = var.bus.name
  name                 = "apply_rules"
  description          = "Decides enriched payments by the rule set."
  memory_mb            = var.settings.memory_mb
  timeout_seconds      = var.settings.timeout_seconds
  reserved_concurrency = var.settings.reserved_concurrency
  environment          = { POSTRAIL_VELOCITY_TABLE = module.velocity.name }
  dead_letter_queue    = module.queue.dead_letter_queue

  statements = [
    {
      sid       = "CountCardUses"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:UpdateItem"]
      resources = [module.velocity.arn]
    },
    var.tables_key.statement,
  ]
}

resource "aws_cloudwatch_log_group" "engine" {
  name              = "/aws/vendedlogs/states/${local.name}"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.platform.logs_key_arn
}

resource "aws_sfn_state_machine" "this" {
  #checkov:skip=CKV_AWS_285:history is logged, but without the data of executions, which are payments

  name     = local.name
  type     = "EXPRESS"
  role_arn = aws_iam_role.engine.arn

  definition = templatefile("${path.module}/../../../step_functions/rules_engine.asl.json", {
    partition                = var.platform.partition
    apply_rules_arn          = module.function.arn
    timeout_seconds          = local.engine_timeout_seconds
    function_timeout_seconds = var.settings.timeout_seconds
    put_attempts             = 4
    keep_failed_input        = !local.buffered
    dead_letter_queue_url    = module.queue.dead_letter_queue.url
  })

  logging_configuration {
    log_destination        = "${aws_cloudwatch_log_group.engine.arn}:*"
    level                  = "ERROR"
    include_execution_data = false # payments do not belong into logs
  }

  # The emulator forgets tracing of EXPRESS state machines: every plan would add it again.
  dynamic "tracing_configuration" {
    for_each = var.platform.tracing ? [true] : []
    content {
      enabled = true
    }
  }

  depends_on = [aws_iam_role_policy.engine]
}

resource "aws_cloudwatch_event_rule" "this" {
  name           = local.rule_name
  description    = "Enriched payments go to the rules engine."
  event_bus_name = var.bus.name
  event_pattern  = jsonencode({ source = ["postrail"], detail-type = ["PaymentEnriched"] })
}

resource "aws_cloudwatch_event_target" "this" {
  rule           = aws_cloudwatch_event_rule.this.name
  event_bus_name = var.bus.name
  target_id      = local.queue_name
  arn            = local.buffered ? module.queue.queue.arn : aws_sfn_state_machine.this.arn
  role_arn       = local.buffered ? null : aws_iam_role.rule[0].arn

  dead_letter_config {
    arn = var.bus.undelivered_arn
  }

  retry_policy {
    maximum_event_age_in_seconds = var.platform.delivery_retry.age_seconds
    maximum_retry_attempts       = var.platform.delivery_retry.attempts
  }
}

resource "aws_pipes_pipe" "rules" {
  # An emulator that stores pipes without running them also forgets their parameters, which replaces them on every plan.
  count = local.buffered && var.pipes_run ? 1 : 0

  name        = local.pipe_name
  description = "Hands enriched payments to the rules engine in tens."
  role_arn    = aws_iam_role.pipe[0].arn
  source      = local.definition.Source
  target      = local.definition.Target

  # No retry settings here: with a queue as source they are the queue's own, its redrive after max_receive_count.
  source_parameters {
    sqs_queue_parameters {
      batch_size                         = local.definition.SourceParameters.SqsQueueParameters.BatchSize
      maximum_batching_window_in_seconds = local.definition.SourceParameters.SqsQueueParameters.MaximumBatchingWindowInSeconds
    }
  }

  target_parameters {
    step_function_state_machine_parameters {
      invocation_type = local.definition.TargetParameters.StepFunctionStateMachineParameters.InvocationType
    }
  }

  log_configuration {
    level = "ERROR"
    cloudwatch_logs_log_destination {
      log_group_arn = aws_cloudwatch_log_group.pipe[0].arn
    }
  }

  depends_on = [aws_iam_role_policy.pipe]
}

resource "aws_cloudwatch_log_group" "pipe" {
  count = local.buffered && var.pipes_run ? 1 : 0

  name              = "/aws/vendedlogs/pipes/${local.pipe_name}"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.platform.logs_key_arn
}

locals {
  # The pipe as DescribePipe would show it, whether it is created or played by a runner.
  definition = {
    Name                 = local.pipe_name
    Source               = module.queue.queue.arn
    SourceParameters     = { SqsQueueParameters = { BatchSize = 10, MaximumBatchingWindowInSeconds = local.window_seconds } }
    Enrichment           = null
    EnrichmentParameters = null
    Target               = aws_sfn_state_machine.this.arn
    # The pipe waits for the outcome: a failed execution leaves its messages in the queue.
    TargetParameters = { StepFunctionStateMachineParameters = { InvocationType = "REQUEST_RESPONSE" } }
  }
}
