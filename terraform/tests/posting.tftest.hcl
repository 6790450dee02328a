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

  ledger = {
    statements  = [{ sid = "ConnectToLedger", actions = ["rds-db:connect"], resources = ["arn:aws:rds-db:eu-west-2:111122223333:dbuser:prx-1/postrail"], condition = {} }]
    environment = { POSTRAIL_LEDGER_HOST = "ledger.test" }
    vpc         = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
  }

  posting_input_format     = "json"
  sequence_timeout_seconds = 300
  expire_holds_schedule    = "rate(1 minute)"
}

run "postings_wait_in_a_queue_and_end_in_the_ledger" {
  module {
    source = "./modules/posting"
  }

  assert {
    condition     = jsondecode(output.subscriptions["postrail-test-posting"].pattern) == { source = ["postrail"], "detail-type" = ["PostingRequested"] } && output.queue.url != null
    error_message = "Our own PostingRequested, by way of a queue."
  }

  assert {
    condition     = keys(output.functions) == ["expire_holds", "post", "relay_outbox", "watch_sequences"]
    error_message = "The posting engine, and what looks after all that is left over."
  }
}
