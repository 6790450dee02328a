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

  tables_key = {
    arn = "arn:aws:kms:eu-west-2:111122223333:key/tables"
    statement = {
      sid       = "UseTablesKey"
      actions   = ["kms:Decrypt"]
      resources = ["arn:aws:kms:eu-west-2:111122223333:key/tables"]
      condition = { StringEquals = { "kms:ViaService" = "dynamodb.eu-west-2.amazonaws.com" } }
    }
  }

  pipes_run           = true
  deletion_protection = true
}

run "engine_is_express_and_keeps_payments_out_of_logs" {
  module {
    source = "./modules/rules_engine"
  }

  assert {
    condition     = aws_sfn_state_machine.this.type == "EXPRESS" && jsondecode(aws_sfn_state_machine.this.definition).QueryLanguage == "JSONata"
    error_message = "EXPRESS, in JSONata."
  }

  assert {
    condition     = !aws_sfn_state_machine.this.logging_configuration[0].include_execution_data && aws_sfn_state_machine.this.tracing_configuration[0].enabled
    error_message = "Logged without data, and traced."
  }
}

run "every_task_has_timeout_retry_and_catch" {
  module {
    source = "./modules/rules_engine"
  }

  assert {
    condition = alltrue([
      for state in concat(
        values(jsondecode(aws_sfn_state_machine.this.definition).States),
        values(jsondecode(aws_sfn_state_machine.this.definition).States.PublishDecisions.ItemProcessor.States),
      ) :
      try(state.TimeoutSeconds, 0) > 0 && length(try(state.Retry, [])) > 0 && contains(flatten(try(state.Catch[*].ErrorEquals, [])), "States.ALL")
      if state.Type == "Task"
    ])
    error_message = "No task waits for ever, fails at the first trouble or fails unseen."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).TimeoutSeconds <= 300
    error_message = "An EXPRESS execution ends after five minutes anyway."
  }
}

run "pipe_waits_for_the_engine" {
  module {
    source = "./modules/rules_engine"
  }

  assert {
    condition     = aws_pipes_pipe.rules[0].target_parameters[0].step_function_state_machine_parameters[0].invocation_type == "REQUEST_RESPONSE"
    error_message = "Only a pipe that waits leaves failed messages in the queue."
  }

  assert {
    condition     = aws_pipes_pipe.rules[0].source_parameters[0].sqs_queue_parameters[0].batch_size == 10 && output.pipes.rules.managed && output.pipes.rules.Source == aws_pipes_pipe.rules[0].source
    error_message = "Batches of ten from the queue, and the output says the same."
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.arn == output.queue.arn && aws_cloudwatch_event_target.this.dead_letter_config[0].arn == var.bus.undelivered_arn
    error_message = "The rule feeds the queue, with a dead-letter queue."
  }
}

run "realtime_starts_the_engine_which_then_keeps_failed_input" {
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
    source = "./modules/rules_engine"
  }

  assert {
    condition     = length(aws_pipes_pipe.rules) == 0 && length(output.pipes) == 0 && aws_cloudwatch_event_target.this.arn == output.state_machine_arn && aws_cloudwatch_event_target.this.role_arn == aws_iam_role.rule[0].arn
    error_message = "The rule starts the state machine, without pipe."
  }

  assert {
    condition     = strcontains(jsondecode(aws_sfn_state_machine.this.definition).States.WhoKeepsTheInput.Choices[0].Condition, "true")
    error_message = "Nobody else has the input of an execution that fails."
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_iam_role_policy.engine.policy).Statement : statement.Sid], "KeepInput")
    error_message = "It may write to its dead-letter queue."
  }
}

run "batch_waits_five_minutes_for_ten" {
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
    source = "./modules/rules_engine"
  }

  assert {
    condition     = aws_pipes_pipe.rules[0].source_parameters[0].sqs_queue_parameters[0].maximum_batching_window_in_seconds == 300 && aws_pipes_pipe.rules[0].source_parameters[0].sqs_queue_parameters[0].batch_size == 10
    error_message = "More than ten would not fit into a state."
  }
}
