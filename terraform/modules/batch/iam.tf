# Three roles: what ECS may do to bring the container up, what the command in it may do, and what the rule may start.

locals {
  tasks_may_assume = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.platform.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${var.platform.partition}:ecs:${var.platform.region}:${var.platform.account_id}:*" }
      }
    }]
  })

  task_statements = concat(var.ledger.statements, [
    {
      sid       = "ReadFiles"
      actions   = ["s3:GetObject"]
      resources = ["${aws_s3_bucket.inbox.arn}/${local.incoming}*"]
      condition = {}
    },
    {
      sid       = "WriteResults"
      actions   = ["s3:AbortMultipartUpload", "s3:PutObject"]
      resources = ["${aws_s3_bucket.inbox.arn}/${local.results}*"]
      condition = {}
    },
    {
      # Decrypt for files, and for the parts of an upload; a data key for what is written.
      sid       = "UseBatchKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.batch_key_arn]
      condition = { StringEquals = { "kms:ViaService" = "s3.${var.platform.region}.amazonaws.com" } }
    },
    {
      sid       = "ReadReferenceData"
      actions   = ["dynamodb:BatchGetItem"]
      resources = [var.reference_table.arn]
      condition = {}
    },
    {
      sid       = "ReadWithTablesKey"
      actions   = ["kms:Decrypt", "kms:DescribeKey"]
      resources = [var.reference_table.key_arn]
      condition = { StringEquals = { "kms:ViaService" = "dynamodb.${var.platform.region}.amazonaws.com" } }
    },
  ])
}

resource "aws_iam_role" "execution" {
  name               = "${local.name}-execution"
  description        = "What ECS may do to bring up a batch task."
  assume_role_policy = local.tasks_may_assume
}

resource "aws_iam_role_policy" "execution" {
  name = "execution"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "LogInToRegistry"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = "*" # ECR knows no resource for it
      },
      {
        Sid      = "PullImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [aws_ecr_repository.this.arn]
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.task.arn}:*"]
      },
    ]
  })
}

resource "aws_iam_role" "task" {
  name               = "${local.name}-task"
  description        = "What a batch run may do."
  assume_role_policy = local.tasks_may_assume
}

resource "aws_iam_role_policy" "task" {
  name = "task"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in local.task_statements : merge(
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

resource "aws_iam_role" "start" {
  name        = "${local.name}-start"
  description = "Lets the rule start batch tasks."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.platform.account_id }
        ArnEquals    = { "aws:SourceArn" = local.rule_arns.start }
      }
    }]
  })
}

resource "aws_iam_role_policy" "start" {
  name = "start"
  role = aws_iam_role.start.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "StartTask"
        Effect = "Allow"
        Action = ["ecs:RunTask"]
        # Any revision: while a deployment changes policy and target, one of them is a step ahead.
        Resource  = ["${aws_ecs_task_definition.this.arn_without_revision}:*"]
        Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.this.arn } }
      },
      {
        Sid       = "TagStartedTask"
        Effect    = "Allow"
        Action    = ["ecs:TagResource"]
        Resource  = ["arn:${var.platform.partition}:ecs:${var.platform.region}:${var.platform.account_id}:task/${aws_ecs_cluster.this.name}/*"]
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Sid       = "GiveTaskItsRoles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [aws_iam_role.execution.arn, aws_iam_role.task.arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ]
  })
}
