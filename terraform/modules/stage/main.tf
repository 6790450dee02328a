# One stage: rule -> [queue ->] function, with its dead-letter queue. `delivery` decides how events travel:
#
#   realtime       The rule invokes the function once for each event. Lambda keeps the event in its own queue, tries
#                  three times and then sends it to the dead-letter queue.
#   near_realtime  The rule feeds a queue; the function gets up to ten events at once, as soon as there are any, or more of
#                  them after a window.
#   batch          The same queue, drained when 1,000 events have come together or after five minutes: Lambda's
#                  batching window is the schedule, so nothing has to start or watch a drainer.
#
# From a queue the function answers with the messages that failed; these alone are tried again, max_receive_count times.

locals {
  hyphenated = replace(var.name, "_", "-")
  queue_name = coalesce(var.queue_name, local.hyphenated)
  rule_name  = "${var.platform.name_prefix}-${local.queue_name}"
  buffered   = var.settings.delivery != "realtime"

  # Above ten messages Lambda demands a window of at least one second.
  batch_size     = coalesce(var.settings.batch_size, var.settings.delivery == "batch" ? 1000 : 10)
  window_seconds = coalesce(var.settings.batching_window_seconds, var.settings.delivery == "batch" ? 300 : 0)

  queue_statements = local.buffered ? [{
    sid       = "ConsumeQueue"
    actions   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
    resources = [module.queue.composed_arn]
    condition = {} # reading needs the queue's key too: the function has it for its dead letters
  }] : []
}

module "queue" {
  source = "../queue"

  platform = var.platform
  name     = local.queue_name
  buffered = local.buffered
  # Composed, so that the slow queues need not wait for the bus and the rule.
  rule_arn = "${var.platform.rule_arn_prefix}${local.rule_name}"
  # Lambda's guidance: six times the function's timeout, plus the window. Less, and slow batches are handled twice.
  visibility_timeout_seconds = 6 * var.settings.timeout_seconds + local.window_seconds
}

module "function" {
  source = "../function"

  platform             = var.platform
  bus_name             = var.bus.name
  name                 = var.name
  description          = var.description
  memory_mb            = var.settings.memory_mb
  timeout_seconds      = var.settings.timeout_seconds
  reserved_concurrency = var.settings.reserved_concurrency
  environment          = var.environment
  dead_letter_queue    = module.queue.dead_letter_queue
  statements           = concat(local.queue_statements, var.statements)
  vpc                  = var.vpc
}

resource "aws_cloudwatch_event_rule" "this" {
  name           = local.rule_name
  description    = var.description
  event_bus_name = var.bus.name

  event_pattern = jsonencode(merge(
    { detail-type = var.detail_types },
    { for key, value in { source = var.sources } : key => value if length(value) > 0 },
  ))
}

resource "aws_cloudwatch_event_target" "this" {
  rule           = aws_cloudwatch_event_rule.this.name
  event_bus_name = var.bus.name
  target_id      = local.queue_name
  arn            = local.buffered ? module.queue.queue.arn : module.function.arn

  dead_letter_config {
    arn = var.bus.undelivered_arn
  }

  retry_policy {
    maximum_event_age_in_seconds = var.platform.delivery_retry.age_seconds
    maximum_retry_attempts       = var.platform.delivery_retry.attempts
  }
}

resource "aws_lambda_permission" "rule" {
  count = local.buffered ? 0 : 1

  statement_id  = "rule"
  action        = "lambda:InvokeFunction"
  function_name = module.function.name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this.arn
}

resource "aws_lambda_function_event_invoke_config" "this" {
  count = local.buffered ? 0 : 1

  function_name                = module.function.name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 3600

  destination_config {
    on_failure {
      destination = module.queue.dead_letter_queue.arn
    }
  }
}

resource "aws_lambda_event_source_mapping" "this" {
  count = local.buffered ? 1 : 0

  event_source_arn                   = module.queue.queue.arn
  function_name                      = module.function.arn
  batch_size                         = local.batch_size
  maximum_batching_window_in_seconds = local.window_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.settings.maximum_concurrency
  }
}
