mock_provider "aws" {
  source = "./tests/mocks"
}

run "bus_archive_leaves_unchecked_events_out" {
  variables {
    platform               = { name_prefix = "postrail-test", partition = "aws", account_id = "111122223333", region = "eu-west-2", emulator = false }
    events_key_arn         = "arn:aws:kms:eu-west-2:111122223333:key/events"
    archive_retention_days = 30
  }

  module {
    source = "./modules/event_bus"
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_archive.payments.event_pattern) == {
      source        = ["postrail"]
      "detail-type" = [{ "anything-but" = ["PaymentAuthorized"] }]
    }
    error_message = "PaymentAuthorized may still hold a clear card number."
  }

  assert {
    condition     = aws_cloudwatch_event_bus.payments.kms_key_identifier == var.events_key_arn && aws_cloudwatch_event_bus.payments.dead_letter_config[0].arn == aws_sqs_queue.undelivered.arn
    error_message = "The bus is encrypted, and what cannot be is kept."
  }

  assert {
    condition     = aws_sqs_queue.undelivered.sqs_managed_sse_enabled && aws_sqs_queue.undelivered.message_retention_seconds == 1209600
    error_message = "The last resort is encrypted and keeps two weeks."
  }
}

run "tables_are_encrypted_and_restorable" {
  variables {
    name                = "postrail-test-authorizations"
    hash_key            = "payment_id"
    expires             = true
    stream              = true
    key_arn             = "arn:aws:kms:eu-west-2:111122223333:key/tables"
    deletion_protection = true
  }

  module {
    source = "./modules/table"
  }

  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].kms_key_arn == var.key_arn && aws_dynamodb_table.this.point_in_time_recovery[0].enabled && aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "Own key, point-in-time recovery, protected from deletion."
  }

  assert {
    condition     = aws_dynamodb_table.this.stream_view_type == "NEW_IMAGE" && aws_dynamodb_table.this.ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST"
    error_message = "New images in the stream, items that expire, billed by request."
  }
}

run "alerts_are_for_what_people_must_look_at" {
  variables {
    platform     = { name_prefix = "postrail-test", partition = "aws", account_id = "111122223333", region = "eu-west-2", emulator = false, events_key_arn = "arn:aws:kms:eu-west-2:111122223333:key/events", delivery_retry = { age_seconds = 7200, attempts = 60 } }
    bus          = { name = "postrail-test-payments", arn = "arn:aws:events:eu-west-2:111122223333:event-bus/postrail-test-payments", undelivered_arn = "arn:aws:sqs:eu-west-2:111122223333:undelivered" }
    alert_emails = ["operations@example.com"]

    alerting_rule_arns = ["arn:aws:events:eu-west-2:111122223333:rule/postrail-test-*"]
  }

  module {
    source = "./modules/notifications"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.alert["alerts"].event_pattern)["detail-type"] == ["PaymentReferred", "PostingSequenceOverdue"]
    error_message = "Referred and overdue payments."
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_event_rule.alert["alerts-failures"].event_pattern)["detail-type"] == ["PaymentPostingFailed"]
      && jsondecode(aws_cloudwatch_event_rule.alert["alerts-failures"].event_pattern).detail.data.reason_code == [{ "anything-but" = ["HOLD_RELEASED"] }]
    )
    error_message = "Failed postings, but for those whose approval was undone."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.alert["alerts-conflicts"].event_pattern).detail == { data = { reason_code = ["CONFLICT"] } }
    error_message = "A plain duplicate is no alert."
  }

  assert {
    condition     = alltrue([for target in values(aws_cloudwatch_event_target.alert) : target.dead_letter_config[0].arn == var.bus.undelivered_arn && target.retry_policy[0].maximum_retry_attempts < 185])
    error_message = "Every target has a dead-letter queue and gives up some day."
  }

  assert {
    condition = (
      contains(jsondecode(aws_sns_topic_policy.this["alerts"].policy).Statement[1].Condition.ArnLike["aws:SourceArn"], var.alerting_rule_arns[0])
      && jsondecode(aws_sns_topic_policy.this["alerts"].policy).Statement[2].Condition.ArnLike["aws:SourceArn"] == ["arn:aws:cloudwatch:eu-west-2:111122223333:alarm:postrail-test-*"]
      && length(jsondecode(aws_sns_topic_policy.this["notifications"].policy).Statement) == 1
    )
    error_message = "Own rules and own alarms publish alerts, and nobody publishes notifications by policy."
  }

  assert {
    condition     = alltrue([for topic in values(aws_sns_topic.this) : topic.kms_master_key_id == var.platform.events_key_arn]) && length(aws_sns_topic_subscription.email) == 1
    error_message = "Encrypted topics, and mail for those who asked."
  }
}
