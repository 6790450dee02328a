mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks"
}

variables {
  name_prefix     = "postrail-test"
  ledger          = { host = "ledger.test", username = "postrail" }
  network         = { database_cidrs = ["10.128.0.0/24"] }
  ledger_password = "not-a-real-one"
  token_issuer    = "https://tokens.example.com"
  token_keys      = "{\"keys\":[]}"
}

run "sizes_come_from_the_file_that_capacity_reads" {
  command = plan

  assert {
    condition     = local.stages.deduplicate == { delivery = "near_realtime", memory_mb = 512, timeout_seconds = 30, batch_size = 10, batching_window_seconds = 0, maximum_concurrency = 20, reserved_concurrency = -1 }
    error_message = "A stage without sizes of its own is delivered in tens, at once."
  }

  assert {
    condition     = alltrue([for name in ["standardise", "enrich", "sequence_postings", "post"] : local.stages[name].batch_size == 100 && local.stages[name].batching_window_seconds == 1])
    error_message = "The road takes hundreds, and waits a second for them at most."
  }

  assert {
    condition     = local.stages.apply_rules.batch_size == 10 && local.stages.apply_rules.batching_window_seconds == 1
    error_message = "Ten enriched payments are what a state holds."
  }

  assert {
    condition     = local.stages.record_outcome.batch_size == 100 && local.stages.record_outcome.batching_window_seconds == 20
    error_message = "What was not posted is recorded in large batches."
  }
}

run "a_stage_may_be_sized_otherwise" {
  command = plan

  variables {
    maximum_concurrency = 5
    stages = {
      post        = { batch_size = 10, batching_window_seconds = 0 }
      standardise = { memory_mb = 1024, maximum_concurrency = 50 }
    }
  }

  assert {
    condition     = local.stages.post.batch_size == 10 && local.stages.post.batching_window_seconds == 0 && local.stages.post.maximum_concurrency == 5
    error_message = "A size of zero is a size."
  }

  assert {
    condition     = local.stages.standardise.memory_mb == 1024 && local.stages.standardise.maximum_concurrency == 50 && local.stages.standardise.batch_size == 100
    error_message = "What is given counts, and what is not stays."
  }
}

run "another_delivery_brings_its_own_batches" {
  command = plan

  variables {
    stages = {
      post           = { delivery = "batch" }
      record_outcome = { delivery = "batch" }
      enrich         = { delivery = "realtime" }
    }
  }

  assert {
    condition     = local.stages.post.batch_size == 1000 && local.stages.post.batching_window_seconds == 300
    error_message = "The hundred of post is meant for near real time."
  }

  assert {
    condition     = local.stages.record_outcome.batch_size == 1000 && local.stages.record_outcome.batching_window_seconds == 300 && local.stages.enrich.batch_size == 1
    error_message = "The batches are those of the delivery."
  }
}

run "the_archive_leaves_out_what_can_be_made_again" {
  command = plan

  assert {
    condition     = toset(local.sizes.archive_leaves_out) == toset(["PaymentEnriched", "PaymentStandardised"])
    error_message = "Events with what came from outside, or with a decision, are kept."
  }
}

run "archive_leaves_out" {
  module {
    source = "./modules/event_bus"
  }

  variables {
    platform               = { name_prefix = "postrail-test", partition = "aws", account_id = "111122223333", region = "eu-west-2", emulator = false }
    events_key_arn         = "arn:aws:kms:eu-west-2:111122223333:key/events"
    archive_retention_days = 30
    archive_leaves_out     = ["PaymentStandardised"]
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_archive.payments.event_pattern).detail-type == [{ anything-but = ["PaymentAuthorized", "PaymentStandardised"] }]
    error_message = "Events of producers never, and what was named not either."
  }
}

run "hundreds_are_waited_for" {
  module {
    source = "./modules/stage"
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
      batch_size              = 100
      batching_window_seconds = 1
      maximum_concurrency     = 20
      reserved_concurrency    = -1
    }
    name         = "post"
    description  = "Stage under test."
    detail_types = ["PostingRequested"]
    statements   = []
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this[0].batch_size == 100 && aws_lambda_event_source_mapping.this[0].maximum_batching_window_in_seconds == 1
    error_message = "A hundred, or what has come in a second."
  }

  assert {
    condition     = module.queue.queue.arn != null
    error_message = "Behind a queue as before."
  }
}

run "hundreds_need_a_window" {
  command = plan

  module {
    source = "./modules/stage"
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
      layer_arns         = []
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
      batch_size              = 100
      batching_window_seconds = 0
      maximum_concurrency     = 20
      reserved_concurrency    = -1
    }
    name         = "post"
    description  = "Stage under test."
    detail_types = ["PostingRequested"]
    statements   = []
  }

  expect_failures = [var.settings]
}
