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
    zip_dir            = "../build"
    architecture       = "arm64"
    layer_arns         = []
    tracing            = false
    log_level          = "INFO"
    log_retention_days = 30
    logs_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/logs"
    functions_key_arn  = "arn:aws:kms:eu-west-2:111122223333:key/functions"
  }

  bus_name = "postrail-test-payments"

  settings = {
    schedule    = "rate(1 hour)"
    lock_mode   = "COMPLIANCE"
    lock_days   = 400
    alarm_hours = 3
  }

  ledger = {
    statements = [{
      sid       = "ReadLedgerSecret"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = ["arn:aws:secretsmanager:eu-west-2:111122223333:secret:ledger-AbCdEf"]
      condition = {}
    }]
    environment = { POSTRAIL_LEDGER_SECRET_ARN = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:ledger-AbCdEf" }
    vpc         = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
  }

  anchors_key_arn     = "arn:aws:kms:eu-west-2:111122223333:key/anchors"
  alerts_topic_arn    = "arn:aws:sns:eu-west-2:111122223333:postrail-test-alerts"
  alarms_run          = true
  deletion_protection = true
}

run "what_is_written_stays" {
  module {
    source = "./modules/anchors"
  }

  assert {
    condition     = aws_s3_bucket.anchors.object_lock_enabled && aws_s3_bucket_versioning.anchors.versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.anchors.force_destroy
    error_message = "Object Lock from the beginning, with the versioning that it needs."
  }

  assert {
    condition = (
      aws_s3_bucket_object_lock_configuration.anchors.rule[0].default_retention[0].mode == "COMPLIANCE"
      && aws_s3_bucket_object_lock_configuration.anchors.rule[0].default_retention[0].days == 400
    )
    error_message = "Every anchor is retained without being asked for."
  }

  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.anchors.policy).Statement : "${statement.Effect} ${statement.Action}"] == ["Deny s3:DeleteObject", "Deny s3:*"]
    error_message = "Anchors are not hidden behind delete markers, and plain HTTP is denied."
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.anchors.policy).Statement[1].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "Everything is denied over plain HTTP alone."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.anchors.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.anchors_key_arn
    error_message = "Encrypted with the key of anchors."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.anchors.block_public_acls,
      aws_s3_bucket_public_access_block.anchors.block_public_policy,
      aws_s3_bucket_public_access_block.anchors.ignore_public_acls,
      aws_s3_bucket_public_access_block.anchors.restrict_public_buckets,
    ])
    error_message = "No public access by any way."
  }

  assert {
    condition     = output.uri == "s3://postrail-test-ledger-anchors-111122223333/ledger"
    error_message = "The place that `postrail ledger verify --anchor` is given."
  }
}

run "the_function_writes_and_can_do_nothing_else" {
  module {
    source = "./modules/anchors"
  }

  assert {
    condition     = toset(flatten(local.statements[*].actions)) == toset(["kms:GenerateDataKey", "s3:GetBucketObjectLockConfiguration", "s3:PutObject", "secretsmanager:GetSecretValue"])
    error_message = "No reading, no deleting, no retention but the bucket's own, no bypass of it."
  }

  assert {
    condition     = alltrue([for statement in local.statements : statement.sid == "WriteAnchors" ? statement.resources == ["${aws_s3_bucket.anchors.arn}/ledger/*"] : !anytrue([for resource in statement.resources : strcontains(resource, "*")])])
    error_message = "Anchors under their prefix; nothing else is a pattern."
  }
}

run "people_are_told_when_anchors_stay_away" {
  module {
    source = "./modules/anchors"
  }

  assert {
    condition = (
      length(aws_cloudwatch_metric_alarm.missing) == 1
      && aws_cloudwatch_metric_alarm.missing[0].treat_missing_data == "breaching"
      && aws_cloudwatch_metric_alarm.missing[0].evaluation_periods == 3
      && aws_cloudwatch_metric_alarm.missing[0].alarm_actions == toset([var.alerts_topic_arn])
    )
    error_message = "Failing and never running look the same: no anchor for three hours."
  }
}

run "a_schedule_that_comes_seldom_retries" {
  module {
    source = "./modules/schedule"
  }

  variables {
    name           = "anchor_ledger"
    description    = "Function under test."
    expression     = "rate(1 hour)"
    retry_attempts = 2
  }

  assert {
    condition = (
      aws_scheduler_schedule.this.schedule_expression == "rate(1 hour)"
      && aws_scheduler_schedule.this.target[0].retry_policy[0].maximum_retry_attempts == 2
      && aws_lambda_function_event_invoke_config.this.maximum_retry_attempts == 2
      && aws_lambda_function_event_invoke_config.this.maximum_event_age_in_seconds == 900
    )
    error_message = "Two retries, and time for both."
  }
}

run "a_schedule_that_comes_every_minute_does_not" {
  module {
    source = "./modules/schedule"
  }

  variables {
    name        = "expire_holds"
    description = "Function under test."
  }

  assert {
    condition = (
      aws_scheduler_schedule.this.schedule_expression == "rate(1 minute)"
      && aws_lambda_function_event_invoke_config.this.maximum_retry_attempts == 0
      && aws_lambda_function_event_invoke_config.this.maximum_event_age_in_seconds == 60
    )
    error_message = "The next tick is the retry."
  }
}

run "a_schedule_is_one" {
  command = plan

  module {
    source = "./modules/schedule"
  }

  variables {
    name        = "expire_holds"
    description = "Function under test."
    expression  = "every minute"
  }

  expect_failures = [var.expression]
}

run "a_trial_can_be_destroyed" {
  module {
    source = "./modules/anchors"
  }

  variables {
    platform = {
      name_prefix        = "postrail-test"
      partition          = "aws"
      account_id         = "111122223333"
      region             = "eu-west-2"
      emulator           = true
      events_key_arn     = "arn:aws:kms:eu-west-2:111122223333:key/events"
      zip_dir            = "../build"
      architecture       = "arm64"
      layer_arns         = []
      tracing            = false
      log_level          = "INFO"
      log_retention_days = 30
      logs_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/logs"
      functions_key_arn  = "arn:aws:kms:eu-west-2:111122223333:key/functions"
    }
    settings            = { schedule = "rate(1 hour)", lock_mode = "GOVERNANCE", lock_days = 1, alarm_hours = 3 }
    alarms_run          = false
    deletion_protection = false
  }

  assert {
    condition     = aws_s3_bucket.anchors.force_destroy && length(aws_cloudwatch_metric_alarm.missing) == 0
    error_message = "Terraform empties the bucket itself."
  }

  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.anchors.policy).Statement : statement.Sid] == ["NobodyHidesAnchors"]
    error_message = "An emulator speaks plain HTTP."
  }
}
