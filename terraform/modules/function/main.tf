locals {
  function_name = "${var.platform.name_prefix}-${replace(var.name, "_", "-")}"
  archive       = "${var.platform.zip_dir}/${var.name}.zip"
  in_vpc        = length(var.vpc.subnet_ids) > 0

  # Lists of at most one, so that absent rights leave no trace in the policy.
  tracing_statement = var.platform.tracing ? [{
    sid       = "Trace"
    actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    resources = ["*"] # X-Ray knows no resource for these
    condition = {}
  }] : []

  network_statement = local.in_vpc ? [{
    sid = "AttachToNetwork"
    actions = [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"] # the interfaces do not exist before Lambda makes them, and Describe knows no resource
    # Lambda's own, when it sets the function up. The key is there when code in the function calls, and then this fails.
    condition = { ArnNotLike = { "lambda:SourceFunctionArn" = "arn:*:lambda:*:*:function:${local.function_name}" } }
  }] : []

  dead_letter_statements = var.dead_letter_queue == null ? [] : [
    {
      sid = "KeepDeadLetters"
      # An emulator that checks rights wants the second for batches; IAM has the first for both.
      actions   = var.platform.emulator ? ["sqs:SendMessage", "sqs:SendMessageBatch"] : ["sqs:SendMessage"]
      resources = [var.dead_letter_queue.arn]
      condition = {}
    },
    {
      # SQS asks a sender for both.
      sid       = "UseQueueKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.platform.events_key_arn]
      condition = {}
    },
  ]

  statements = concat(
    [
      {
        sid       = "WriteLogs"
        actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
        condition = {}
      },
      {
        # Its own settings: Lambda decrypts them as the function, when a copy starts.
        sid       = "ReadOwnSettings"
        actions   = ["kms:Decrypt"]
        resources = [var.platform.functions_key_arn]
        condition = {}
      },
    ],
    local.tracing_statement, local.network_statement, local.dead_letter_statements, var.statements,
  )
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.platform.logs_key_arn
}

resource "aws_iam_role" "this" {
  name        = "${local.function_name}-function"
  description = "What the function ${local.function_name} may do."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in local.statements : merge(
      {
        Sid      = statement.sid
        Effect   = "Allow"
        Action   = statement.actions
        Resource = statement.resources
      },
      { for key, value in { Condition = statement.condition } : key => value if length(value) > 0 },
    )]
  })
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:what fails is kept by whoever starts it: the stage's queue or destination, or the next tick of its schedule
  #checkov:skip=CKV_AWS_272:archives come from the machine that applies, which would sign whatever it made; who may apply is the control

  function_name = local.function_name
  description   = var.description
  role          = aws_iam_role.this.arn
  runtime       = "python3.13"
  architectures = [var.platform.architecture]
  handler       = "handler.handler"
  filename      = local.archive
  # Guarded so that validation and tests need no build; an apply without the archive fails and names the file.
  source_code_hash               = fileexists(local.archive) ? filebase64sha256(local.archive) : null
  layers                         = var.platform.layer_arns
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency
  kms_key_arn                    = var.platform.functions_key_arn # of its settings: they hold names and no secrets

  environment {
    variables = merge(
      {
        POSTRAIL_STAGE     = var.name
        POSTRAIL_BUS_NAME  = var.bus_name
        POSTRAIL_LOG_LEVEL = var.platform.log_level
        # Copies of Postrail in one account keep their metrics apart.
        POSTRAIL_METRICS_NAMESPACE = "Postrail/${var.platform.name_prefix}"
        POWERTOOLS_SERVICE_NAME    = var.name
      },
      # Keys must be known while planning, values need not: the caller says whether there is a queue.
      var.dead_letter_queue == null ? {} : { POSTRAIL_DEAD_LETTER_QUEUE_URL = var.dead_letter_queue.url },
      var.environment,
    )
  }

  tracing_config {
    mode = var.platform.tracing ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [var.vpc] : []
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  # The first invocation must find its rights and its log group.
  depends_on = [aws_iam_role_policy.this, aws_cloudwatch_log_group.this]
}
