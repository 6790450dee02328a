mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform = {
    name_prefix        = "postrail-test"
    partition          = "aws"
    account_id         = "111122223333"
    region             = "eu-west-2"
    emulator           = false
    events_key_arn     = "arn:aws:kms:eu-west-2:111122223333:key/events"
    rule_arn_prefix    = "arn:aws:events:eu-west-2:111122223333:rule/postrail-test-payments/"
    zip_dir            = "../build"
    architecture       = "arm64"
    layer_arns         = ["arn:aws:lambda:eu-west-2:111122223333:layer:dependencies:1"]
    tracing            = true
    log_level          = "INFO"
    log_retention_days = 30
    logs_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/logs"
    functions_key_arn  = "arn:aws:kms:eu-west-2:111122223333:key/functions"
    max_receive_count  = 5
    delivery_retry     = { age_seconds = 7200, attempts = 60 }
  }

  bus = {
    name            = "postrail-test-payments"
    arn             = "arn:aws:events:eu-west-2:111122223333:event-bus/postrail-test-payments"
    undelivered_arn = "arn:aws:sqs:eu-west-2:111122223333:postrail-test-rules-undelivered"
  }

  settings = {
    delivery                = "near_realtime"
    memory_mb               = 512
    timeout_seconds         = 30
    batching_window_seconds = null
    maximum_concurrency     = 20
    reserved_concurrency    = -1
  }

  name         = "standardise"
  description  = "Stage under test."
  detail_types = ["PaymentAccepted"]

  statements = [{
    sid       = "Publish"
    actions   = ["events:PutEvents"]
    resources = ["arn:aws:events:eu-west-2:111122223333:event-bus/postrail-test-payments"]
  }]
}

run "near_realtime_goes_through_a_queue" {
  module {
    source = "./modules/stage"
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.this) == 1 && length(aws_lambda_permission.rule) == 0 && length(aws_lambda_function_event_invoke_config.this) == 0
    error_message = "A queue feeds the function; the rule must not invoke it."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this[0].batch_size == 10 && aws_lambda_event_source_mapping.this[0].maximum_batching_window_in_seconds == 0
    error_message = "Near real time: up to ten at once, without waiting for them."
  }

  assert {
    condition     = contains(aws_lambda_event_source_mapping.this[0].function_response_types, "ReportBatchItemFailures")
    error_message = "One bad message must not send its neighbours back."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this[0].scaling_config[0].maximum_concurrency == 20
    error_message = "The queue may not start copies without limit."
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.arn == output.queue.arn && output.queue.url != null
    error_message = "The rule feeds the queue."
  }
}

run "every_target_has_a_dead_letter_queue_and_gives_up_some_day" {
  module {
    source = "./modules/stage"
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.dead_letter_config[0].arn == var.bus.undelivered_arn
    error_message = "What a rule cannot deliver goes to rules-undelivered."
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.retry_policy[0].maximum_retry_attempts <= 185 && aws_cloudwatch_event_target.this.retry_policy[0].maximum_event_age_in_seconds < 86400
    error_message = "Retries end before EventBridge's own limits."
  }
}

run "rule_takes_only_our_own_events" {
  module {
    source = "./modules/stage"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this.event_pattern) == { source = ["postrail"], "detail-type" = ["PaymentAccepted"] }
    error_message = "Internal events are Postrail's."
  }
}

run "an_open_door_takes_any_source" {
  variables {
    sources = []
  }

  module {
    source = "./modules/stage"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this.event_pattern) == { "detail-type" = ["PaymentAccepted"] }
    error_message = "Producers use names of their own."
  }
}

run "realtime_invokes_the_function" {
  variables {
    settings = {
      delivery                = "realtime"
      memory_mb               = 512
      timeout_seconds         = 30
      batching_window_seconds = null
      maximum_concurrency     = 20
      reserved_concurrency    = -1
    }
  }

  module {
    source = "./modules/stage"
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.this) == 0 && output.queue.url == null && output.queue.arn == null
    error_message = "There is no queue."
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.arn == output.function.arn && aws_lambda_permission.rule[0].principal == "events.amazonaws.com" && aws_lambda_permission.rule[0].source_arn == aws_cloudwatch_event_rule.this.arn
    error_message = "The rule, and only this rule, invokes the function."
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.this[0].destination_config[0].on_failure[0].destination == output.queue.dlq_arn && aws_lambda_function_event_invoke_config.this[0].maximum_retry_attempts == 2
    error_message = "An invocation that fails for good ends in the dead-letter queue."
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.dead_letter_config[0].arn == var.bus.undelivered_arn
    error_message = "What a rule cannot deliver goes to rules-undelivered, in every mode."
  }
}

run "batch_waits_for_many" {
  variables {
    settings = {
      delivery                = "batch"
      memory_mb               = 512
      timeout_seconds         = 30
      batching_window_seconds = null
      maximum_concurrency     = 20
      reserved_concurrency    = -1
    }
  }

  module {
    source = "./modules/stage"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this[0].batch_size == 1000 && aws_lambda_event_source_mapping.this[0].maximum_batching_window_in_seconds == 300
    error_message = "Batch: a thousand messages or five minutes."
  }

  assert {
    condition     = contains(aws_lambda_event_source_mapping.this[0].function_response_types, "ReportBatchItemFailures")
    error_message = "One bad message must not send 999 neighbours back."
  }
}

run "unknown_delivery_is_refused" {
  command = plan

  variables {
    settings = {
      delivery                = "yearly"
      memory_mb               = 512
      timeout_seconds         = 30
      batching_window_seconds = null
      maximum_concurrency     = 20
      reserved_concurrency    = -1
    }
  }

  module {
    source = "./modules/stage"
  }

  expect_failures = [var.settings]
}
