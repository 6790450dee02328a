resource "aws_iam_role" "engine" {
  name        = "${local.name}-engine"
  description = "What the rules engine's state machine may do."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "states.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.platform.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "engine" {
  name = "engine"
  role = aws_iam_role.engine.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Sid = "Decide", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [module.function.arn] },
        { Sid = "Publish", Effect = "Allow", Action = ["events:PutEvents"], Resource = [var.bus.arn] },
        {
          # Log deliveries know no resource.
          Sid    = "DeliverLogs"
          Effect = "Allow"
          Action = [
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
          ]
          Resource = ["*"]
        },
      ],
      local.buffered ? [] : [
        { Sid = "KeepInput", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [module.queue.dead_letter_queue.arn] },
        {
          Sid      = "UseQueueKey"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = [var.platform.events_key_arn]
        },
      ],
      var.platform.tracing ? [{
        # X-Ray knows no resource for these.
        Sid      = "Trace"
        Effect   = "Allow"
        Action   = ["xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        Resource = ["*"]
      }] : [],
    )
  })
}

resource "aws_iam_role" "pipe" {
  count = local.buffered && var.pipes_run ? 1 : 0

  name        = "${local.pipe_name}-pipe"
  description = "What the pipe into the rules engine may do."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pipes.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.platform.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "pipe" {
  count = local.buffered && var.pipes_run ? 1 : 0

  name = "pipe"
  role = aws_iam_role.pipe[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ConsumeQueue"
        Effect   = "Allow"
        Action   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        Resource = [module.queue.queue.arn]
      },
      { Sid = "ReadQueueKey", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.platform.events_key_arn] },
      {
        Sid      = "RunEngine"
        Effect   = "Allow"
        Action   = ["states:StartSyncExecution"]
        Resource = [aws_sfn_state_machine.this.arn]
      },
    ]
  })
}

resource "aws_iam_role" "rule" {
  count = local.buffered ? 0 : 1

  name        = "${local.name}-rule"
  description = "Lets the rule start the rules engine."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.platform.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "rule" {
  count = local.buffered ? 0 : 1

  name = "rule"
  role = aws_iam_role.rule[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "StartEngine"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = [aws_sfn_state_machine.this.arn]
    }]
  })
}
