# Who may use which key. In a key policy the resource "*" is this key.
#
# A key policy without `kms:*` for the account is the stronger half of least privilege: a right in IAM opens a key only by the
# way that stands here. People who administer keys change, rotate and delete them, and read nothing with them. Nobody calls
# Decrypt on a key directly, but the card vault's roles on theirs; everybody else goes through the service that keeps the data,
# which asks for the right to the data as well.

locals {
  account = { AWS = "arn:${var.platform.partition}:iam::${var.platform.account_id}:root" }

  # The account, and so IAM, decides who administers. Without such a statement a key is nobody's, for ever.
  administration = {
    Sid       = "AccountAdministers"
    Effect    = "Allow"
    Principal = local.account
    Action = [
      "kms:CancelKeyDeletion",
      "kms:CreateAlias",
      "kms:DeleteAlias",
      "kms:DescribeKey",
      "kms:DisableKey",
      "kms:DisableKeyRotation",
      "kms:EnableKey",
      "kms:EnableKeyRotation",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListAliases",
      "kms:ListGrants",
      "kms:ListKeyPolicies",
      "kms:ListKeyRotations",
      "kms:ListResourceTags",
      "kms:PutKeyPolicy",
      "kms:RetireGrant",
      "kms:RevokeGrant",
      "kms:RotateKeyOnDemand",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
      "kms:UpdateAlias",
      "kms:UpdateKeyDescription",
    ]
    Resource = "*"
  }

  # By which services a class of data is kept. They use its key in the name of their caller.
  services = {
    anchors   = ["s3"]
    audit     = ["cloudtrail", "logs", "s3"]
    batch     = ["s3"]
    cards     = ["dynamodb"]
    edge      = ["secretsmanager"]
    events    = ["events", "sns", "sqs"]
    functions = ["lambda"]
    ledger    = ["rds", "secretsmanager"]
    logs      = ["logs"]
    parked    = ["s3"]
    switch    = ["secretsmanager"]
    tables    = ["dynamodb"]
  }

  by_services = { for name, services in local.services : name => [
    {
      Sid       = "AccountUsesByService"
      Effect    = "Allow"
      Principal = local.account
      Action    = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      Resource  = "*"
      Condition = { StringEquals = { "kms:ViaService" = [for service in services : "${service}.${var.platform.region}.amazonaws.com"] } }
    },
    {
      # Tables, databases and functions outlive the request that made them, and keep a grant. People give none to themselves.
      Sid       = "ServicesKeepGrants"
      Effect    = "Allow"
      Principal = local.account
      Action    = ["kms:CreateGrant"]
      Resource  = "*"
      Condition = {
        StringEquals = { "kms:ViaService" = [for service in services : "${service}.${var.platform.region}.amazonaws.com"] }
        Bool         = { "kms:GrantIsForAWSResource" = "true" }
      }
    },
  ] }

  own_account = { StringEquals = { "aws:SourceAccount" = var.platform.account_id } }

  # EventBridge encrypts what the bus stores, and writes to encrypted queues and topics, in its own name.
  eventbridge = {
    Sid       = "EventBridgeOfThisAccount"
    Effect    = "Allow"
    Principal = { Service = "events.amazonaws.com" }
    Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    Resource  = "*"
    Condition = local.own_account
  }

  # So that an alarm reaches an encrypted topic.
  cloudwatch = {
    Sid       = "AlarmsOfThisCopy"
    Effect    = "Allow"
    Principal = { Service = "cloudwatch.amazonaws.com" }
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = "*"
    Condition = merge(local.own_account, { ArnLike = { "aws:SourceArn" = [
      "arn:${var.platform.partition}:cloudwatch:${var.platform.region}:${var.platform.account_id}:alarm:${var.platform.name_prefix}-*",
    ] } })
  }

  # CloudWatch Logs encrypts with a customer's key in its own name, for the log groups of this copy and no others: those of
  # functions (/aws/lambda), tasks (/aws/ecs), Pipes, state machine and APIs (/aws/vendedlogs), network (/aws/vpc) and
  # database (/aws/rds).
  logs = {
    Sid       = "LogsOfThisCopy"
    Effect    = "Allow"
    Principal = { Service = "logs.${var.platform.region}.amazonaws.com" }
    Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
    Resource  = "*"
    Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = [
      "arn:${var.platform.partition}:logs:${var.platform.region}:${var.platform.account_id}:log-group:/aws/*/${var.platform.name_prefix}-*",
    ] } }
  }

  # CloudTrail writes its records in its own name, for the trail of this copy. It encrypts and never decrypts.
  trail = "arn:${var.platform.partition}:cloudtrail:${var.platform.region}:${var.platform.account_id}:trail/${var.platform.name_prefix}-audit"
  cloudtrail = [
    {
      Sid       = "TrailOfThisCopyWrites"
      Effect    = "Allow"
      Principal = { Service = "cloudtrail.amazonaws.com" }
      Action    = ["kms:GenerateDataKey"]
      Resource  = "*"
      Condition = {
        StringEquals = { "aws:SourceArn" = local.trail }
        StringLike   = { "kms:EncryptionContext:aws:cloudtrail:arn" = "arn:${var.platform.partition}:cloudtrail:*:${var.platform.account_id}:trail/*" }
      }
    },
    {
      Sid       = "CloudTrailLooksAtKey"
      Effect    = "Allow"
      Principal = { Service = "cloudtrail.amazonaws.com" }
      Action    = ["kms:DescribeKey"]
      Resource  = "*"
      Condition = local.own_account
    },
  ]

  # A function's settings are decrypted as the function, when a copy of it starts.
  functions = {
    Sid       = "FunctionsReadTheirSettings"
    Effect    = "Allow"
    Principal = local.account
    Action    = ["kms:Decrypt"]
    Resource  = "*"
    Condition = { ArnLike = { "aws:PrincipalArn" = "arn:${var.platform.partition}:iam::${var.platform.account_id}:role/${var.platform.name_prefix}-*-function" } }
  }

  # The vault's roles wrap and unwrap data keys themselves, each for a purpose that its own rights name.
  vault_purposes = ["card-vault", "pan-lookup", "stored-messages"]
  vault = [
    {
      Sid       = "VaultRolesUseDataKeys"
      Effect    = "Allow"
      Principal = local.account
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = "*"
      Condition = {
        ArnEquals    = { "aws:PrincipalArn" = var.vault_role_arns }
        StringEquals = { "kms:EncryptionContext:postrail:purpose" = local.vault_purposes }
      }
    },
    {
      # Whatever else is ever allowed, here or in IAM: nobody but those roles opens what DynamoDB does not keep. DynamoDB needs
      # the key in the name of whoever makes the table, who still sees nothing but data keys that are wrapped once more.
      Sid       = "NobodyElseUsesDataKeys"
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
      Resource  = "*"
      Condition = {
        ArnNotEquals            = { "aws:PrincipalArn" = var.vault_role_arns }
        StringNotEqualsIfExists = { "kms:ViaService" = "dynamodb.${var.platform.region}.amazonaws.com" }
        Bool                    = { "aws:PrincipalIsAWSService" = "false" }
      }
    },
    {
      Sid       = "NobodyGivesTheKeyAway"
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = ["kms:CreateGrant"]
      Resource  = "*"
      Condition = { Bool = { "kms:GrantIsForAWSResource" = "false" } }
    },
  ]

  # An emulator knows no encryption context, and the switch is a process of whoever started it, without a role.
  vault_on_emulator = [{
    Sid       = "VaultUsesDataKeys"
    Effect    = "Allow"
    Principal = local.account
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = "*"
  }]

  special = {
    anchors   = []
    audit     = concat(local.cloudtrail, [local.logs])
    batch     = []
    cards     = concat([for statement in local.vault : statement if !var.platform.emulator], [for statement in local.vault_on_emulator : statement if var.platform.emulator])
    edge      = []
    events    = [local.eventbridge, local.cloudwatch]
    functions = [local.functions]
    ledger    = []
    logs      = [local.logs]
    parked    = []
    switch    = []
    tables    = []
  }

  statements = { for name in keys(local.keys) : name => concat([local.administration], local.by_services[name], [for statement in local.special[name] : statement]) }
}
