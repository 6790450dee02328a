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

  name                       = "standardise"
  visibility_timeout_seconds = 180
  rule_arn                   = "arn:aws:events:eu-west-2:111122223333:rule/postrail-test-payments/postrail-test-standardise"
}

run "a_failing_message_ends_in_the_dead_letter_queue" {
  module {
    source = "./modules/queue"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this[0].redrive_policy).maxReceiveCount == 5 && jsondecode(aws_sqs_queue.this[0].redrive_policy).deadLetterTargetArn == aws_sqs_queue.dead.arn
    error_message = "Redrive after five tries."
  }

  assert {
    condition     = aws_sqs_queue.dead.message_retention_seconds == 1209600 && aws_sqs_queue.dead.message_retention_seconds > aws_sqs_queue.this[0].message_retention_seconds
    error_message = "A dead letter keeps its age: its queue must keep longer than the first one."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dead.redrive_allow_policy).sourceQueueArns == ["arn:aws:sqs:eu-west-2:111122223333:postrail-test-standardise"]
    error_message = "Only its own queue may use a dead-letter queue."
  }
}

run "messages_are_encrypted_with_the_events_key" {
  module {
    source = "./modules/queue"
  }

  assert {
    condition     = aws_sqs_queue.this[0].kms_master_key_id == var.platform.events_key_arn && aws_sqs_queue.dead.kms_master_key_id == var.platform.events_key_arn
    error_message = "Both queues use the events key."
  }
}

run "only_the_own_rule_sends_and_only_over_tls" {
  module {
    source = "./modules/queue"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_sqs_queue.this[0].policy).Statement :
      statement.Condition.ArnEquals["aws:SourceArn"] == var.rule_arn if statement.Effect == "Allow"
    ])
    error_message = "Nobody but the rule is let in by the queue's policy."
  }

  assert {
    condition = alltrue([
      for policy in [aws_sqs_queue.this[0].policy, aws_sqs_queue.dead.policy] : anytrue([
        for statement in jsondecode(policy).Statement :
        statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
      ])
    ])
    error_message = "Plain HTTP is denied."
  }
}

run "without_a_buffer_only_the_dead_letter_queue_exists" {
  variables {
    buffered = false
    rule_arn = null
  }

  module {
    source = "./modules/queue"
  }

  assert {
    condition     = length(aws_sqs_queue.this) == 0 && aws_sqs_queue.dead.name == "postrail-test-standardise-dlq"
    error_message = "No queue, but a place for dead letters."
  }
}
