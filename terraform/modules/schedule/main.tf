locals {
  name = "${var.platform.name_prefix}-${replace(var.name, "_", "-")}"

  # Lambda waits one minute before the first retry and two before the second.
  event_age_seconds = var.retry_attempts == 0 ? 60 : 900
}

module "function" {
  source = "../function"

  platform             = var.platform
  bus_name             = var.bus_name
  name                 = var.name
  description          = var.description
  timeout_seconds      = 50 # ends before the next tick
  reserved_concurrency = var.reserved_concurrency
  environment          = var.environment
  statements           = var.statements
  vpc                  = var.vpc
}

# The next tick is the last retry: what failed or came late is dropped, and needs no dead-letter queue.
resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = module.function.name
  maximum_retry_attempts       = var.retry_attempts
  maximum_event_age_in_seconds = local.event_age_seconds
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:all that is encrypted is the word that it is scheduled

  name                = local.name
  description         = var.description
  schedule_expression = var.expression

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.function.arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ scheduled = true })

    retry_policy {
      maximum_event_age_in_seconds = local.event_age_seconds
      maximum_retry_attempts       = var.retry_attempts
    }
  }

  depends_on = [aws_iam_role_policy.scheduler]
}

resource "aws_iam_role" "scheduler" {
  name        = "${local.name}-schedule"
  description = "Lets the schedule start ${local.name}."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.platform.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "schedule"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "StartFunction"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [module.function.arn]
    }]
  })
}
