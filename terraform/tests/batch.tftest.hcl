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
    architecture       = "arm64"
    events_key_arn     = "arn:aws:kms:eu-west-2:111122223333:key/events"
    log_level          = "INFO"
    log_retention_days = 30
    logs_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/logs"
    functions_key_arn  = "arn:aws:kms:eu-west-2:111122223333:key/functions"
    max_receive_count  = 5
    delivery_retry     = { age_seconds = 7200, attempts = 60 }
  }

  settings = {
    cpu                   = 2048
    memory_mb             = 4096
    ephemeral_storage_gib = 30
    workers               = 2
    timeout_minutes       = 60
    alarm_minutes         = 15
    retention_days        = 400
    subnet_ids            = ["subnet-1", "subnet-2"]
    security_group_ids    = ["sg-1"]
    image                 = null
    image_tag             = "0.1.0"
  }

  batch_key_arn = "arn:aws:kms:eu-west-2:111122223333:key/batch"

  ledger = {
    statements = [{
      sid       = "ReadLedgerSecret"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = ["arn:aws:secretsmanager:eu-west-2:111122223333:secret:ledger-AbCdEf"]
      condition = {}
    }]
    environment = { POSTRAIL_LEDGER_SECRET_ARN = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:ledger-AbCdEf" }
  }

  reference_table = {
    name    = "postrail-test-reference"
    arn     = "arn:aws:dynamodb:eu-west-2:111122223333:table/postrail-test-reference"
    key_arn = "arn:aws:kms:eu-west-2:111122223333:key/tables"
  }

  posting_input_format = "json"
  alerts_topic_arn     = "arn:aws:sns:eu-west-2:111122223333:postrail-test-alerts"
  tasks_run            = true
  alarms_run           = true
  deletion_protection  = true
}

run "a_file_in_the_inbox_starts_a_task" {
  module {
    source = "./modules/batch"
  }

  assert {
    condition     = aws_s3_bucket_notification.inbox.eventbridge && aws_cloudwatch_event_rule.start.event_bus_name == "default"
    error_message = "S3 tells the default bus, and there the rule listens."
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_event_rule.start.event_pattern)["detail-type"] == ["Object Created"]
      && jsondecode(aws_cloudwatch_event_rule.start.event_pattern).detail.bucket.name == [aws_s3_bucket.inbox.id]
      && jsondecode(aws_cloudwatch_event_rule.start.event_pattern).detail.object.key == [{ anything-but = { wildcard = ["results/*", "*/", "*\"*", "*\\\\*"] } }]
    )
    error_message = "Files of this bucket: neither results, which would start tasks for ever, nor names that would break out of their argument."
  }

  assert {
    condition = (
      aws_cloudwatch_event_target.start.arn == aws_ecs_cluster.this.arn
      && aws_cloudwatch_event_target.start.ecs_target[0].task_definition_arn == aws_ecs_task_definition.this.arn
      && aws_cloudwatch_event_target.start.ecs_target[0].launch_type == "FARGATE"
      && aws_cloudwatch_event_target.start.ecs_target[0].task_count == 1
      && aws_cloudwatch_event_target.start.ecs_target[0].network_configuration[0].subnets == toset(["subnet-1", "subnet-2"])
      && aws_cloudwatch_event_target.start.ecs_target[0].network_configuration[0].assign_public_ip == false
    )
    error_message = "One Fargate task in the given subnets, without a public address."
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.start.input_transformer[0].input_template) < 8192 && !strcontains(aws_cloudwatch_event_target.start.input_transformer[0].input_template, "\\u003c")
    error_message = "EventBridge must see its placeholders in clear."
  }

  assert {
    condition = jsondecode(replace(replace(aws_cloudwatch_event_target.start.input_transformer[0].input_template, "<bucket>", "inbox"), "<key>", "incoming/day 1.csv.gz")) == {
      containerOverrides = [{
        name = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].name
        command = [
          "batch", "run", "s3://inbox/incoming/day 1.csv.gz", "--results", "s3://inbox/results/incoming/day 1.csv.gz.refused.jsonl",
          "--workers", "2", "--json",
        ]
      }]
    }
    error_message = "The task runs the command that an operator would type, for this very file."
  }

  assert {
    condition     = aws_cloudwatch_event_target.start.dead_letter_config[0].arn == output.dead_letter_queue.arn && aws_cloudwatch_event_target.start.retry_policy[0].maximum_retry_attempts <= 185 && aws_cloudwatch_event_target.start.retry_policy[0].maximum_event_age_in_seconds < 86400
    error_message = "A file for which no task starts is kept, and retries end."
  }

  assert {
    condition     = output.batch.managed && output.batch.queue_url == null
    error_message = "ECS runs the tasks; there is no queue of commands."
  }
}

run "the_container_can_do_nothing_but_its_work" {
  module {
    source = "./modules/batch"
  }

  assert {
    condition = (
      jsondecode(aws_ecs_task_definition.this.container_definitions)[0].readonlyRootFilesystem
      && !jsondecode(aws_ecs_task_definition.this.container_definitions)[0].privileged
      && jsondecode(aws_ecs_task_definition.this.container_definitions)[0].user == "10001:10001"
      && jsondecode(aws_ecs_task_definition.this.container_definitions)[0].linuxParameters.capabilities.drop == ["ALL"]
    )
    error_message = "Read-only file system, no root, no capabilities."
  }

  assert {
    condition = (
      jsondecode(aws_ecs_task_definition.this.container_definitions)[0].stopTimeout == 120
      && jsondecode(aws_ecs_task_definition.this.container_definitions)[0].linuxParameters.initProcessEnabled
      && contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[0].entryPoint, "3600")
    )
    error_message = "Two minutes to finish the chunk at hand, an init process that passes signals on, and an end for what hangs."
  }

  assert {
    condition     = !anytrue([for setting in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : can(regex("(?i)password|dsn", setting.name))]) && try(jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets, null) == null
    error_message = "The command reads the secret itself: no password in the task definition."
  }

  assert {
    condition     = aws_ecs_task_definition.this.network_mode == "awsvpc" && aws_ecs_task_definition.this.requires_compatibilities == toset(["FARGATE"]) && aws_ecs_task_definition.this.runtime_platform[0].cpu_architecture == "ARM64"
    error_message = "Fargate, on the architecture that the image is built for."
  }

  assert {
    condition     = aws_cloudwatch_log_group.task.retention_in_days == 30
    error_message = "Logs end some day."
  }
}

run "every_role_has_its_rights_and_no_more" {
  module {
    source = "./modules/batch"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Action])) == toset([
      "dynamodb:BatchGetItem", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "s3:AbortMultipartUpload",
      "s3:GetObject", "s3:PutObject", "secretsmanager:GetSecretValue",
    ])
    error_message = "The command reads its file, reference data and secret, and writes results."
  }

  assert {
    condition = alltrue([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : (
      statement.Sid == "ReadFiles" ? statement.Resource == ["${aws_s3_bucket.inbox.arn}/incoming/*"] :
      statement.Sid == "WriteResults" ? statement.Resource == ["${aws_s3_bucket.inbox.arn}/results/*"] :
      !anytrue([for resource in statement.Resource : strcontains(resource, "*")])
    )])
    error_message = "Files are read under incoming/ and written under results/; nothing else is a pattern."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Sid if statement.Resource == "*"] == ["LogInToRegistry"]
    error_message = "Only the registry's login knows no resource."
  }

  assert {
    condition = (
      [for statement in jsondecode(aws_iam_role_policy.start.policy).Statement : statement.Condition if statement.Sid == "StartTask"] == [{ ArnEquals = { "ecs:cluster" = aws_ecs_cluster.this.arn } }]
      && [for statement in jsondecode(aws_iam_role_policy.start.policy).Statement : statement.Condition if statement.Sid == "GiveTaskItsRoles"] == [{ StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }]
    )
    error_message = "The rule starts this task in this cluster, and gives roles to ECS alone."
  }

  assert {
    condition     = alltrue([for role in [aws_iam_role.task, aws_iam_role.execution, aws_iam_role.start] : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "111122223333"])
    error_message = "No other account can make the services act with these roles."
  }

  assert {
    condition     = !anytrue([for statement in concat(jsondecode(aws_iam_role_policy.task.policy).Statement, jsondecode(aws_iam_role_policy.execution.policy).Statement, jsondecode(aws_iam_role_policy.start.policy).Statement) : anytrue([for action in statement.Action : strcontains(action, "*")])])
    error_message = "No action is a pattern."
  }
}

run "the_inbox_is_private_and_encrypted" {
  module {
    source = "./modules/batch"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.inbox.block_public_acls,
      aws_s3_bucket_public_access_block.inbox.block_public_policy,
      aws_s3_bucket_public_access_block.inbox.ignore_public_acls,
      aws_s3_bucket_public_access_block.inbox.restrict_public_buckets,
    ])
    error_message = "No public access by any way."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.inbox.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.batch_key_arn
    error_message = "Encrypted with the key of batch files."
  }

  assert {
    condition     = aws_s3_bucket_versioning.inbox.versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.inbox.force_destroy
    error_message = "No file is overwritten or deleted along with the bucket."
  }

  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.inbox.rule).expiration[0].days == 400
    error_message = "Files end some day."
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.inbox[0].policy).Statement[0].Effect == "Deny" && jsondecode(aws_s3_bucket_policy.inbox[0].policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "Plain HTTP is denied."
  }
}

run "images_are_immutable_and_scanned" {
  module {
    source = "./modules/batch"
  }

  assert {
    condition     = aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.this.image_scanning_configuration[0].scan_on_push && !aws_ecr_repository.this.force_delete
    error_message = "A tag means the same bytes for ever, and they are scanned."
  }

  assert {
    condition     = endswith(jsondecode(aws_ecs_task_definition.this.container_definitions)[0].image, ":0.1.0")
    error_message = "The task runs the named image of its own repository."
  }
}

run "an_image_from_elsewhere_can_be_named" {
  variables {
    settings = {
      cpu                   = 1024
      memory_mb             = 2048
      ephemeral_storage_gib = 21
      workers               = 1
      timeout_minutes       = 30
      alarm_minutes         = 15
      retention_days        = 30
      subnet_ids            = ["subnet-1"]
      security_group_ids    = []
      image                 = "registry.example.com/postrail@sha256:1111111111111111111111111111111111111111111111111111111111111111"
      image_tag             = "0.1.0"
    }
  }

  module {
    source = "./modules/batch"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].image == var.settings.image
    error_message = "A bank's own registry."
  }
}

run "people_hear_of_a_run_that_failed_or_took_long" {
  module {
    source = "./modules/batch"
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_event_rule.failed.event_pattern).detail.lastStatus == ["STOPPED"]
      && jsondecode(aws_cloudwatch_event_rule.failed.event_pattern).detail.clusterArn == [aws_ecs_cluster.this.arn]
      && length(jsondecode(aws_cloudwatch_event_rule.failed.event_pattern).detail["$or"]) == 3
      && aws_cloudwatch_event_target.failed.arn == var.alerts_topic_arn
      && aws_cloudwatch_event_target.failed.dead_letter_config[0].arn == output.dead_letter_queue.arn
    )
    error_message = "Failed tasks of this cluster go to the alerts."
  }

  assert {
    condition     = alltrue([for line in split("\n", aws_cloudwatch_event_target.failed.input_transformer[0].input_template) : startswith(line, "\"") && endswith(line, "\"")])
    error_message = "EventBridge takes text as quoted lines."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.slow[0].alarm_actions == toset([var.alerts_topic_arn]) && aws_cloudwatch_metric_alarm.slow[0].ok_actions == toset([var.alerts_topic_arn]) && aws_cloudwatch_metric_alarm.slow[0].threshold == 900
    error_message = "Over 15 minutes is an alarm, which tells when it begins and when it ends."
  }
}

run "without_tasks_the_commands_go_into_a_queue" {
  variables {
    tasks_run  = false
    alarms_run = false
  }

  module {
    source = "./modules/batch"
  }

  assert {
    condition     = aws_cloudwatch_event_target.start.arn == module.queue.queue.arn && length(aws_cloudwatch_event_target.start.ecs_target) == 0 && !output.batch.managed && output.batch.queue_url != null
    error_message = "The same rule and the same transformer, with a queue behind."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.slow) == 0 && length(aws_cloudwatch_log_metric_filter.seconds) == 0
    error_message = "No alarm where there is none to raise."
  }
}

run "a_task_without_subnets_is_refused" {
  command = plan

  variables {
    settings = {
      cpu                   = 2048
      memory_mb             = 4096
      ephemeral_storage_gib = 30
      workers               = 2
      timeout_minutes       = 60
      alarm_minutes         = 15
      retention_days        = 400
      subnet_ids            = []
      security_group_ids    = []
      image                 = null
      image_tag             = "0.1.0"
    }
  }

  module {
    source = "./modules/batch"
  }

  expect_failures = [aws_cloudwatch_event_target.start]
}

run "a_size_that_fargate_does_not_have_is_refused" {
  command = plan

  variables {
    settings = {
      cpu                   = 2048
      memory_mb             = 1024
      ephemeral_storage_gib = 30
      workers               = 2
      timeout_minutes       = 60
      alarm_minutes         = 15
      retention_days        = 400
      subnet_ids            = ["subnet-1"]
      security_group_ids    = []
      image                 = null
      image_tag             = "0.1.0"
    }
  }

  module {
    source = "./modules/batch"
  }

  expect_failures = [var.settings]
}
