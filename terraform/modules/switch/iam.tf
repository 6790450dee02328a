# One role brings containers up; what runs in them has a role for each party.

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

  # Only a bank tells the pipeline of its approvals, and converts money by the pipeline's rates.
  bank_statements = [
    {
      sid       = "HandOverAuthorizations"
      actions   = ["dynamodb:BatchWriteItem"]
      resources = [var.authorizations_table.arn]
      condition = {}
    },
    {
      sid       = "ReadReferenceData"
      actions   = ["dynamodb:BatchGetItem"]
      resources = [var.reference_table.arn]
      condition = {}
    },
    var.tables_key_statement,
  ]

  # Keys that never leave the hardware. A party does its own work with those that the operator named: a network puts PINs
  # under the bank's key, a bank verifies them. Nobody makes, exports or deletes keys.
  pin_work = {
    network = ["payment-cryptography:TranslatePinData"]
    bank    = ["payment-cryptography:VerifyPinData"]
  }
  hardware_statements = { for kind, actions in local.pin_work : kind => [for statement in [{
    sid       = "UseHardwareKeys"
    actions   = actions
    resources = var.settings.hsm_key_arns
    condition = {}
  }] : statement if var.settings.hsm == "payment_cryptography"] }

  statements = {
    for id, party in local.parties : id => concat(
      var.ledger.statements,
      var.card_vault[party.kind].statements,
      [
        {
          sid     = "ReadOwnKeys"
          actions = ["secretsmanager:GetSecretValue"]
          resources = concat(
            [aws_secretsmanager_secret.keys[id].arn],
            [for secret in [for owner, secret in aws_secretsmanager_secret.tls : secret if owner == id] : secret.arn],
          )
          condition = {}
        },
        {
          sid       = "UseSwitchKey"
          actions   = ["kms:Decrypt"]
          resources = [var.switch_key_arn]
          condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.platform.region}.amazonaws.com" } }
        },
      ],
      local.hardware_statements[party.kind],
      [for statement in local.bank_statements : statement if party.kind == "bank"],
    )
  }
}

resource "aws_iam_role" "execution" {
  name               = "${local.name}-execution"
  description        = "What ECS may do to bring up a task of the switch."
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
        Resource = [for group in aws_cloudwatch_log_group.party : "${group.arn}:*"]
      },
    ]
  })
}

resource "aws_iam_role" "party" {
  for_each = local.parties

  name               = "${local.name}-${each.key}"
  description        = "What ${each.value.kind} ${each.key} may do."
  assume_role_policy = local.tasks_may_assume
}

resource "aws_iam_role_policy" "party" {
  for_each = local.parties

  name = "task"
  role = aws_iam_role.party[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in local.statements[each.key] : merge(
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
