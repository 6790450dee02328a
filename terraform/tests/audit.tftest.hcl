mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform            = { name_prefix = "postrail-test", partition = "aws", account_id = "111122223333", region = "eu-west-2", log_retention_days = 30 }
  audit_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/audit"
  vault               = { table_arn = "arn:aws:dynamodb:eu-west-2:111122223333:table/postrail-test-card-vault", key_arn = "arn:aws:kms:eu-west-2:111122223333:key/cards", role_names = ["postrail-test-serve-bank-api-function", "postrail-test-switch-*"] }
  guarded_key_arns    = ["arn:aws:kms:eu-west-2:111122223333:key/cards", "arn:aws:kms:eu-west-2:111122223333:key/audit"]
  bucket_arns         = ["arn:aws:s3:::postrail-test-parked", "arn:aws:s3:::postrail-test-anchors"]
  settings            = { management_events = true, lock_mode = "COMPLIANCE", lock_days = 365, retention_days = 400 }
  alerts_topic_arn    = "arn:aws:sns:eu-west-2:111122223333:alerts"
  alarms_run          = true
  deletion_protection = true
}

run "each_use_of_the_vault_is_recorded" {
  module {
    source = "./modules/audit"
  }

  assert {
    condition = [for selector in aws_cloudtrail.this.advanced_event_selector : toset(flatten([for field in selector.field_selector : coalesce(field.equals, field.starts_with)]))] == [
      toset(["Management"]),
      toset(["Data", "AWS::DynamoDB::Table", "arn:aws:dynamodb:eu-west-2:111122223333:table/postrail-test-card-vault"]),
      toset(["Data", "AWS::S3::Object", "arn:aws:s3:::postrail-test-parked/", "arn:aws:s3:::postrail-test-anchors/"]),
    ]
    error_message = "Items of the vault, uses of its key among the management events, and objects of the named buckets."
  }

  assert {
    condition     = alltrue([for selector in aws_cloudtrail.this.advanced_event_selector : alltrue([for field in selector.field_selector : field.field != "readOnly"])])
    error_message = "Reads as well as writes."
  }
}

run "records_are_whole_and_stay" {
  module {
    source = "./modules/audit"
  }

  assert {
    condition     = aws_cloudtrail.this.enable_log_file_validation && aws_cloudtrail.this.is_multi_region_trail && aws_cloudtrail.this.kms_key_id == var.audit_key_arn
    error_message = "Signed, of all regions, encrypted with the key of records."
  }

  assert {
    condition     = aws_s3_bucket.records.object_lock_enabled && aws_s3_bucket_object_lock_configuration.records.rule[0].default_retention[0].mode == "COMPLIANCE" && !aws_s3_bucket.records.force_destroy
    error_message = "Locked, as it was asked for."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.records.policy).Statement : statement.Condition.StringEquals["aws:SourceArn"] == "arn:aws:cloudtrail:eu-west-2:111122223333:trail/postrail-test-audit" if statement.Effect == "Allow"
    ])
    error_message = "This trail writes, and no other."
  }

  assert {
    condition     = toset([for statement in jsondecode(aws_s3_bucket_policy.records.policy).Statement : statement.Sid if statement.Effect == "Deny"]) == toset(["NobodyElseWrites", "OnlyOverTls"])
    error_message = "Nobody else writes or hides, and nobody speaks in clear."
  }

  assert {
    condition     = aws_cloudwatch_log_group.records.kms_key_id == var.audit_key_arn
    error_message = "And so are those in the log group."
  }
}

run "strangers_at_the_vault_are_told" {
  module {
    source = "./modules/audit"
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.watched) == ["CardsKeyUsedByStranger", "EvidenceDeleted", "KeyChanged", "TrailChanged", "VaultReadByStranger"] && alltrue([for alarm in values(aws_cloudwatch_metric_alarm.watched) : alarm.alarm_actions == toset([var.alerts_topic_arn]) && alarm.threshold == 0])
    error_message = "Each thing that should not happen, the first time it does."
  }

  assert {
    condition = aws_cloudwatch_log_metric_filter.watched["VaultReadByStranger"].pattern == join("", [
      "{ ($.eventSource = \"dynamodb.amazonaws.com\") && ($.eventCategory = \"Data\") && (($.userIdentity.type != \"AssumedRole\") || ($.userIdentity.accountId != \"111122223333\") || ",
      "(($.userIdentity.sessionContext.sessionIssuer.userName != \"postrail-test-serve-bank-api-function\") && ($.userIdentity.sessionContext.sessionIssuer.userName != \"postrail-test-switch-*\"))) }",
    ])
    error_message = "All but the vault's roles of this account."
  }
}

run "another_trail_may_have_the_management_events" {
  variables {
    settings = { management_events = false, lock_mode = "GOVERNANCE", lock_days = 1, retention_days = 400 }
  }

  module {
    source = "./modules/audit"
  }

  assert {
    condition     = length(aws_cloudtrail.this.advanced_event_selector) == 2
    error_message = "Data events alone."
  }
}
