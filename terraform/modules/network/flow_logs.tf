# Who spoke to whom, and who tried: kept as long as an inquiry may look back.

locals {
  flow_logs = local.create && var.endpoints_run ? 1 : 0
}

resource "aws_cloudwatch_log_group" "flow" {
  count = local.flow_logs

  name              = "/aws/vpc/${local.name}-flow"
  retention_in_days = var.settings.flow_log_days
  kms_key_id        = var.logs_key_arn
}

resource "aws_iam_role" "flow" {
  count = local.flow_logs

  name        = "${local.name}-flow-logs"
  description = "Lets VPC flow logs write to their log group."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.platform.account_id }
        # The flow log has no id before it has a role.
        ArnLike = { "aws:SourceArn" = "arn:${var.platform.partition}:ec2:${var.platform.region}:${var.platform.account_id}:vpc-flow-log/*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "flow" {
  count = local.flow_logs

  name = "write"
  role = aws_iam_role.flow[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "WriteFlowLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = [aws_cloudwatch_log_group.flow[0].arn, "${aws_cloudwatch_log_group.flow[0].arn}:*"]
      },
      {
        # The service looks its group up among all of them.
        Sid      = "FindLogGroup"
        Effect   = "Allow"
        Action   = ["logs:DescribeLogGroups"]
        Resource = ["arn:${var.platform.partition}:logs:${var.platform.region}:${var.platform.account_id}:log-group:*"]
      },
    ]
  })
}

resource "aws_flow_log" "this" {
  count = local.flow_logs

  vpc_id                   = local.vpc_id
  traffic_type             = "ALL"
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flow[0].arn
  iam_role_arn             = aws_iam_role.flow[0].arn
  max_aggregation_interval = 600

  tags = { Name = local.name }

  depends_on = [aws_iam_role_policy.flow]
}
