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

  bus_name    = "postrail-test-payments"
  name        = "apply_rules"
  description = "Function under test."

  dead_letter_queue = {
    name = "postrail-test-apply-rules-dlq"
    url  = "https://sqs.eu-west-2.amazonaws.com/111122223333/postrail-test-apply-rules-dlq"
    arn  = "arn:aws:sqs:eu-west-2:111122223333:postrail-test-apply-rules-dlq"
  }

  statements = [{
    sid       = "UseTablesKey"
    actions   = ["kms:Decrypt"]
    resources = ["arn:aws:kms:eu-west-2:111122223333:key/tables"]
    condition = { StringEquals = { "kms:ViaService" = "dynamodb.eu-west-2.amazonaws.com" } }
  }]
}

run "a_function_knows_its_surroundings" {
  module {
    source = "./modules/function"
  }

  assert {
    condition = aws_lambda_function.this.environment[0].variables == tomap({
      POSTRAIL_STAGE                 = "apply_rules"
      POSTRAIL_BUS_NAME              = "postrail-test-payments"
      POSTRAIL_LOG_LEVEL             = "INFO"
      POSTRAIL_METRICS_NAMESPACE     = "Postrail/postrail-test"
      POSTRAIL_DEAD_LETTER_QUEUE_URL = "https://sqs.eu-west-2.amazonaws.com/111122223333/postrail-test-apply-rules-dlq"
      POWERTOOLS_SERVICE_NAME        = "apply_rules"
    })
    error_message = "The settings that every function reads."
  }

  assert {
    condition     = aws_lambda_function.this.function_name == "postrail-test-apply-rules" && aws_lambda_function.this.handler == "handler.handler" && one(aws_lambda_function.this.architectures) == "arm64"
    error_message = "Name, handler and architecture."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/postrail-test-apply-rules" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "Logs go where Lambda writes them, and do not stay for ever."
  }
}

run "logs_and_settings_are_encrypted_with_customer_keys" {
  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.kms_key_id == var.platform.logs_key_arn && aws_lambda_function.this.kms_key_arn == var.platform.functions_key_arn
    error_message = "Each with the key of its class."
  }
}

run "no_action_is_a_wildcard_and_no_resource_without_need" {
  module {
    source = "./modules/function"
  }

  assert {
    condition = alltrue([
      for action in flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action]) : !strcontains(action, "*")
    ])
    error_message = "Actions are named one by one."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid if contains(statement.Resource, "*")
    ] == ["Trace"]
    error_message = "Only X-Ray, which knows no resources, is given all of them."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      try(statement.Condition.StringEquals["kms:ViaService"], "") == "dynamodb.eu-west-2.amazonaws.com" if statement.Sid == "UseTablesKey"
    ])
    error_message = "Conditions reach the policy."
  }
}

run "inside_a_vpc_it_may_attach_itself" {
  variables {
    vpc = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }
  }

  module {
    source = "./modules/function"
  }

  assert {
    condition     = length(aws_lambda_function.this.vpc_config) == 1 && contains([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid], "AttachToNetwork")
    error_message = "Interfaces in the given subnets, and the right to make them."
  }

  assert {
    condition = one([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Condition if statement.Sid == "AttachToNetwork"]) == {
      ArnNotLike = { "lambda:SourceFunctionArn" = "arn:*:lambda:*:*:function:${aws_lambda_function.this.function_name}" }
    }
    error_message = "Lambda makes interfaces in the function's name; code in the function does not."
  }
}

run "without_tracing_there_is_no_right_to_trace" {
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
      tracing            = false
      log_level          = "INFO"
      log_retention_days = 30
      logs_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/logs"
      functions_key_arn  = "arn:aws:kms:eu-west-2:111122223333:key/functions"
      max_receive_count  = 5
      delivery_retry     = { age_seconds = 7200, attempts = 60 }
    }
  }

  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_function.this.tracing_config[0].mode == "PassThrough" && !contains([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid], "Trace")
    error_message = "No X-Ray, no rights for it."
  }
}
