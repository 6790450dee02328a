# The table door: approved inserts -> deduplicate -> PaymentAccepted on the bus. A pre-authorisation rests in the table
# (its item has the attribute `capture`): what is posted is its completion, an item of its own.
#
# Retries and age are finite: with the defaults, -1 each, one bad record blocks its shard until the stream drops it after
# 24 hours, and all records behind it. A failing batch is halved until the bad record stands alone.
# The dead letter of a stream names the record's place in the stream and not its content: the content is in the table.

locals {
  pipe_name = "${var.platform.name_prefix}-intake"

  # The pipe as DescribePipe would show it, whether it is created or played by a runner.
  definition = {
    Name   = local.pipe_name
    Source = module.authorizations.stream_arn
    SourceParameters = {
      FilterCriteria = {
        Filters = [{
          Pattern = jsonencode({
            eventName = ["INSERT"]
            dynamodb = {
              NewImage = {
                action_code = { S = [{ prefix = "00" }] }
                capture     = { S = [{ exists = false }] }
              }
            }
          })
        }]
      }
      DynamoDBStreamParameters = {
        BatchSize                      = 50 # five PutEvents of ten; as many rows as came in meanwhile, at once when idle
        DeadLetterConfig               = { Arn = module.pipe_queue.dead_letter_queue.arn }
        MaximumBatchingWindowInSeconds = 0
        MaximumRecordAgeInSeconds      = 6 * 3600
        MaximumRetryAttempts           = 10
        OnPartialBatchItemFailure      = "AUTOMATIC_BISECT"
        ParallelizationFactor          = 6
        StartingPosition               = "TRIM_HORIZON" # LATEST would lose what arrives while the pipe is being made
      }
    }
    Enrichment           = module.deduplicate.function.arn
    EnrichmentParameters = null
    Target               = var.bus.arn
    TargetParameters = {
      EventBridgeEventBusParameters = { DetailType = "PaymentAccepted", Source = "postrail" }
    }
  }

  stream_parameters = local.definition.SourceParameters.DynamoDBStreamParameters
}

module "pipe_queue" {
  source = "../queue"

  platform = var.platform
  name     = "intake-pipe"
  buffered = false # the stream is the buffer
}

resource "aws_pipes_pipe" "intake" {
  # An emulator that stores pipes without running them also forgets their parameters, which replaces them on every plan.
  count = var.pipes_run ? 1 : 0

  name        = local.pipe_name
  description = "Approved authorizations, checked for duplicates, become PaymentAccepted."
  role_arn    = aws_iam_role.pipe[0].arn
  source      = local.definition.Source
  enrichment  = local.definition.Enrichment
  target      = local.definition.Target

  source_parameters {
    filter_criteria {
      filter {
        pattern = local.definition.SourceParameters.FilterCriteria.Filters[0].Pattern
      }
    }

    dynamodb_stream_parameters {
      batch_size                         = local.stream_parameters.BatchSize
      maximum_batching_window_in_seconds = local.stream_parameters.MaximumBatchingWindowInSeconds
      maximum_record_age_in_seconds      = local.stream_parameters.MaximumRecordAgeInSeconds
      maximum_retry_attempts             = local.stream_parameters.MaximumRetryAttempts
      on_partial_batch_item_failure      = local.stream_parameters.OnPartialBatchItemFailure
      parallelization_factor             = local.stream_parameters.ParallelizationFactor
      starting_position                  = local.stream_parameters.StartingPosition

      dead_letter_config {
        arn = local.stream_parameters.DeadLetterConfig.Arn
      }
    }
  }

  target_parameters {
    eventbridge_event_bus_parameters {
      detail_type = local.definition.TargetParameters.EventBridgeEventBusParameters.DetailType
      source      = local.definition.TargetParameters.EventBridgeEventBusParameters.Source
    }
  }

  log_configuration {
    level = "ERROR"
    cloudwatch_logs_log_destination {
      log_group_arn = aws_cloudwatch_log_group.pipe[0].arn
    }
  }

  depends_on = [aws_iam_role_policy.pipe]
}

resource "aws_cloudwatch_log_group" "pipe" {
  count = var.pipes_run ? 1 : 0

  name              = "/aws/vendedlogs/pipes/${local.pipe_name}"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.platform.logs_key_arn
}

resource "aws_iam_role" "pipe" {
  count = var.pipes_run ? 1 : 0

  name        = "${local.pipe_name}-pipe"
  description = "What the intake pipe may do."

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
  count = var.pipes_run ? 1 : 0

  name = "pipe"
  role = aws_iam_role.pipe[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadStream"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
        Resource = [module.authorizations.stream_arn]
      },
      {
        Sid      = "ListStreams"
        Effect   = "Allow"
        Action   = ["dynamodb:ListStreams"]
        Resource = ["${module.authorizations.arn}/stream/*"]
      },
      { Sid = "ReadTableKey", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.tables_key.arn] },
      {
        Sid      = "Deduplicate"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [module.deduplicate.function.arn]
      },
      { Sid = "Publish", Effect = "Allow", Action = ["events:PutEvents"], Resource = [var.bus.arn] },
      {
        Sid      = "KeepDeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [module.pipe_queue.dead_letter_queue.arn]
      },
      {
        Sid      = "UseQueueKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [var.platform.events_key_arn]
      },
    ]
  })
}
