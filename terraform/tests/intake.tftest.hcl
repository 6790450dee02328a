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

  parked_key_arn        = "arn:aws:kms:eu-west-2:111122223333:key/parked"
  parked_retention_days = 400
  parked_lock           = { mode = "COMPLIANCE", days = 365 }
  dedup_window_hours    = 72
  pipes_run             = true
  deletion_protection   = true
}

run "pipe_takes_approved_inserts_only" {
  module {
    source = "./modules/intake"
  }

  assert {
    condition = jsondecode(one(aws_pipes_pipe.intake[0].source_parameters[0].filter_criteria[0].filter).pattern) == {
      eventName = ["INSERT"]
      dynamodb = {
        NewImage = { action_code = { S = [{ prefix = "00" }] }, capture = { S = [{ exists = false }] } }
      }
    }
    error_message = "Declined authorizations, pre-authorisations and changes of an item stay in the table."
  }

  assert {
    condition     = aws_pipes_pipe.intake[0].enrichment == output.function.arn && aws_pipes_pipe.intake[0].target == var.bus.arn
    error_message = "Records go through deduplicate to the bus."
  }

  assert {
    condition     = aws_pipes_pipe.intake[0].target_parameters[0].eventbridge_event_bus_parameters[0].detail_type == "PaymentAccepted" && aws_pipes_pipe.intake[0].target_parameters[0].eventbridge_event_bus_parameters[0].source == "postrail"
    error_message = "What leaves the pipe is a PaymentAccepted of Postrail."
  }
}

run "a_bad_record_cannot_block_its_shard" {
  module {
    source = "./modules/intake"
  }

  assert {
    condition     = aws_pipes_pipe.intake[0].source_parameters[0].dynamodb_stream_parameters[0].maximum_retry_attempts > 0 && aws_pipes_pipe.intake[0].source_parameters[0].dynamodb_stream_parameters[0].maximum_record_age_in_seconds > 0
    error_message = "-1, the default of both, means for ever."
  }

  assert {
    condition     = aws_pipes_pipe.intake[0].source_parameters[0].dynamodb_stream_parameters[0].on_partial_batch_item_failure == "AUTOMATIC_BISECT"
    error_message = "A failing batch is halved until the bad record is alone."
  }

  assert {
    condition     = aws_pipes_pipe.intake[0].source_parameters[0].dynamodb_stream_parameters[0].dead_letter_config[0].arn == output.pipe_dead_letter_queue.arn
    error_message = "The bad record ends in intake-pipe-dlq."
  }

  assert {
    condition     = aws_pipes_pipe.intake[0].source_parameters[0].dynamodb_stream_parameters[0].starting_position == "TRIM_HORIZON"
    error_message = "Records written while the pipe is made must not be skipped."
  }
}

run "output_describes_the_pipe_that_runs" {
  module {
    source = "./modules/intake"
  }

  assert {
    condition = (
      output.pipes.intake.managed
      && output.pipes.intake.Name == aws_pipes_pipe.intake[0].name
      && output.pipes.intake.Source == aws_pipes_pipe.intake[0].source
      && output.pipes.intake.Target == aws_pipes_pipe.intake[0].target
      && output.pipes.intake.SourceParameters.DynamoDBStreamParameters.BatchSize == aws_pipes_pipe.intake[0].source_parameters[0].dynamodb_stream_parameters[0].batch_size
    )
    error_message = "Output and resource are the same pipe."
  }
}

run "without_pipes_only_the_description_is_left" {
  variables {
    pipes_run = false
  }

  module {
    source = "./modules/intake"
  }

  assert {
    condition     = length(aws_pipes_pipe.intake) == 0 && length(aws_iam_role.pipe) == 0 && !output.pipes.intake.managed && output.pipes.intake.Enrichment == output.function.arn
    error_message = "No pipe and no role, but a definition for a runner."
  }
}

run "parked_events_are_private" {
  module {
    source = "./modules/intake"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.parked.block_public_acls,
      aws_s3_bucket_public_access_block.parked.block_public_policy,
      aws_s3_bucket_public_access_block.parked.ignore_public_acls,
      aws_s3_bucket_public_access_block.parked.restrict_public_buckets,
    ])
    error_message = "No public access by any way."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.parked.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.parked_key_arn
    error_message = "Encrypted with the key of parked events."
  }

  assert {
    condition     = aws_s3_bucket_versioning.parked.versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.parked.force_destroy
    error_message = "Nothing parked is overwritten or deleted along with the bucket."
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.parked.policy).Statement :
      statement.Effect == "Deny" && statement.Action == "s3:*" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
    ])
    error_message = "Plain HTTP is denied."
  }
}

run "parked_events_stay_as_they_were_written" {
  module {
    source = "./modules/intake"
  }

  assert {
    condition     = aws_s3_bucket.parked.object_lock_enabled && aws_s3_bucket_object_lock_configuration.parked.rule[0].default_retention[0].mode == "COMPLIANCE" && aws_s3_bucket_object_lock_configuration.parked.rule[0].default_retention[0].days == 365
    error_message = "Object Lock, as it was asked for."
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_s3_bucket_policy.parked.policy).Statement : statement.Effect == "Deny" && statement.Action == "s3:DeleteObject" && statement.Principal == "*"])
    error_message = "And nobody hides one behind a delete marker."
  }

  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.parked.rule : rule.expiration[0].days]) == 400
    error_message = "Until its retention is over."
  }
}
