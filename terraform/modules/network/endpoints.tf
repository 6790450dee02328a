# How the network reaches AWS: for each service that code in here calls, an endpoint that lets through what that code does,
# done by this account's identities to this account's resources. Credentials that somebody brings along are good for nothing
# here, and nothing can be carried off to a bucket or queue elsewhere.
#
# Not here, since no packet of theirs comes through this network: logs and traces of functions, which Lambda itself delivers;
# credentials of functions and tasks, which both get from their host; tokens for the database, which are signed in the process.

locals {
  arn      = { for service in ["dynamodb", "events", "kms", "logs", "payment-cryptography", "secretsmanager", "sns", "sqs"] : service => "arn:${var.platform.partition}:${service}:${var.platform.region}:${var.platform.account_id}" }
  s3       = "arn:${var.platform.partition}:s3:::"
  own_only = { StringEquals = { "aws:PrincipalAccount" = var.platform.account_id } }

  # By their routes, and free of charge.
  gateways = {
    dynamodb = [{
      Sid       = "TablesOfThisCopy"
      Action    = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:GetItem", "dynamodb:PutItem"]
      Resource  = ["${local.arn.dynamodb}:table/${var.platform.name_prefix}-*"]
      Condition = local.own_only
    }]
    s3 = [
      {
        Sid       = "BucketsOfThisCopy"
        Action    = ["s3:AbortMultipartUpload", "s3:GetBucketObjectLockConfiguration", "s3:GetObject", "s3:PutObject"]
        Resource  = ["${local.s3}${var.platform.name_prefix}-*"]
        Condition = { StringEquals = { "aws:PrincipalAccount" = var.platform.account_id, "aws:ResourceAccount" = var.platform.account_id } }
      },
      {
        # ECR hands out addresses, already signed, into a bucket of its own in each region.
        Sid       = "LayersOfImages"
        Action    = ["s3:GetObject"]
        Resource  = ["${local.s3}prod-${var.platform.region}-starport-layer-bucket/*"]
        Condition = {}
      },
    ]
  }

  # Images may come from the registry of another account (`image`), but only to identities of this one.
  images = [{
    Sid       = "PullImages"
    Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer"]
    Resource  = ["*"]
    Condition = local.own_only
  }]

  # By network interfaces, one in each zone, each paid for by the hour.
  interfaces = merge(
    {
      "ecr.api" = local.images
      "ecr.dkr" = local.images
      events = [{
        Sid       = "PublishOnBus"
        Action    = ["events:PutEvents"]
        Resource  = ["${local.arn.events}:event-bus/${var.platform.name_prefix}-*"]
        Condition = local.own_only
      }]
      kms = [{
        # The card vault wraps and unwraps its data keys itself. Keys have no names; their policies say who may.
        Sid       = "UseDataKeys"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = ["${local.arn.kms}:key/*"]
        Condition = local.own_only
      }]
      logs = [{
        Sid       = "WriteLogsOfTasks"
        Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource  = ["${local.arn.logs}:log-group:/aws/ecs/${var.platform.name_prefix}-*"]
        Condition = local.own_only
      }]
      secretsmanager = [{
        # RDS names the secret of the database's owner by itself, hence no prefix.
        Sid = "ReadAndRotateSecrets"
        Action = [
          "secretsmanager:DescribeSecret",
          "secretsmanager:GetSecretValue",
          "secretsmanager:PutSecretValue",
          "secretsmanager:UpdateSecretVersionStage",
        ]
        Resource  = ["${local.arn.secretsmanager}:secret:*"]
        Condition = local.own_only
      }]
      sns = [{
        Sid       = "NotifyOfThisCopy"
        Action    = ["sns:Publish"]
        Resource  = ["${local.arn.sns}:${var.platform.name_prefix}-*"]
        Condition = local.own_only
      }]
      sqs = [{
        Sid       = "KeepDeadLetters"
        Action    = ["sqs:SendMessage"]
        Resource  = ["${local.arn.sqs}:${var.platform.name_prefix}-*"]
        Condition = local.own_only
      }]
    },
    var.hardware_keys ? {
      "payment-cryptography.dataplane" = [{
        Sid       = "WorkWithPins"
        Action    = ["payment-cryptography:TranslatePinData", "payment-cryptography:VerifyPinData"]
        Resource  = ["${local.arn.payment-cryptography}:key/*"]
        Condition = local.own_only
      }]
    } : {},
  )

  policies = { for service, statements in merge(local.gateways, local.interfaces) : service => jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in statements : merge(
      { Sid = statement.Sid, Effect = "Allow", Principal = "*", Action = statement.Action, Resource = statement.Resource },
      { for key, value in { Condition = statement.Condition } : key => value if length(value) > 0 },
    )]
  }) }
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = toset(local.create && var.endpoints_run ? keys(local.gateways) : [])

  vpc_id            = local.vpc_id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${var.platform.region}.${each.key}"
  route_table_ids   = [for table in aws_route_table.compute : table.id]
  policy            = local.policies[each.key]

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(local.create && var.endpoints_run ? keys(local.interfaces) : [])

  vpc_id              = local.vpc_id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${var.platform.region}.${each.key}"
  subnet_ids          = [for subnet in aws_subnet.compute : subnet.id]
  security_group_ids  = [aws_security_group.this["endpoints"].id]
  private_dns_enabled = true # the code calls the usual names
  policy              = local.policies[each.key]

  tags = { Name = "${local.name}-${each.key}" }
}
