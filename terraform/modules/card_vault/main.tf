# The only place that can turn a token back into a card number. Its key is its own: the right to read any other table never
# implies this one.
#
# DynamoDB encrypts the table with the key, and each item holds its number encrypted once more, under a data key of the same
# key: who reads the table alone, by a restored backup for instance, reads no number.

locals {
  environment = {
    POSTRAIL_CARD_VAULT_TABLE   = module.table.name
    POSTRAIL_CARD_VAULT_KEY_ARN = var.cards_key_arn
  }

  # With a customer's key DynamoDB acts in the name of its caller, who needs the key, but through DynamoDB alone.
  use_table_key = {
    sid       = "UseCardsKeyByTable"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
    resources = [var.cards_key_arn]
    condition = { StringEquals = { "kms:ViaService" = "dynamodb.${var.platform.region}.amazonaws.com" } }
  }

  # A data key is wrapped for one purpose, its encryption context, and only those of that purpose may unwrap it. The two keys
  # that the switch itself works with are items of their own. An emulator that checks rights knows neither condition.
  purposes = { for name, purpose in { cards = "card-vault", lookup = "pan-lookup", messages = "stored-messages" } : name => (
    var.platform.emulator ? {} : { StringEquals = { "kms:EncryptionContext:postrail:purpose" = purpose } }
  ) }
  items = { for name, item in { lookup = "KEY#lookup#1", messages = "KEY#messages#1" } : name => (
    var.platform.emulator ? {} : {
      "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = item }
      Null                        = { "dynamodb:LeadingKeys" = "false" } # "for all" is also true of none
    }
  ) }

  # To know a card again: the key of the keyed hash by which numbers are found, and nothing with which one could be read.
  read_lookup = [
    { sid = "ReadLookupKey", actions = ["dynamodb:GetItem"], resources = [module.table.arn], condition = local.items.lookup },
    { sid = "UnwrapLookupKey", actions = ["kms:Decrypt"], resources = [var.cards_key_arn], condition = local.purposes.lookup },
  ]

  # Whoever issues first makes it.
  make_lookup = [
    { sid = "KeepLookupKey", actions = ["dynamodb:PutItem"], resources = [module.table.arn], condition = local.items.lookup },
    { sid = "WrapLookupKey", actions = ["kms:GenerateDataKey"], resources = [var.cards_key_arn], condition = local.purposes.lookup },
  ]

  # Messages that wait in the database for a bank hold card numbers: a key for them, made by whichever network comes first.
  seal_messages = [
    { sid = "KeepMessagesKey", actions = ["dynamodb:GetItem", "dynamodb:PutItem"], resources = [module.table.arn], condition = local.items.messages },
    { sid = "UseMessagesKey", actions = ["kms:Decrypt", "kms:GenerateDataKey"], resources = [var.cards_key_arn], condition = local.purposes.messages },
  ]

  # Whoever issues makes numbers and keeps them. One is shown once, from memory: the table may be read to know a card again, but
  # nothing unwraps what would open it.
  keep_cards = [
    { sid = "KeepCards", actions = ["dynamodb:GetItem", "dynamodb:PutItem"], resources = [module.table.arn], condition = {} },
    { sid = "WrapCards", actions = ["kms:GenerateDataKey"], resources = [var.cards_key_arn], condition = local.purposes.cards },
  ]

  access = {
    bank    = concat([local.use_table_key], local.read_lookup)
    network = concat([local.use_table_key], local.read_lookup, local.seal_messages)
    issuing = concat([local.use_table_key], local.read_lookup, local.make_lookup, local.keep_cards)
  }
}

module "table" {
  source = "../table"

  name                = "${var.platform.name_prefix}-card-vault"
  hash_key            = "pk"
  key_arn             = var.cards_key_arn
  deletion_protection = var.deletion_protection
}

# A right in IAM alone does not open the table: whoever is none of the vault's roles is denied its items, administrators included.
resource "aws_dynamodb_resource_policy" "items" {
  count = var.platform.emulator ? 0 : 1 # the switch is a process of whoever started it there, without a role

  resource_arn = module.table.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "NobodyElseTouchesItems"
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action = [
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PartiQLDelete",
        "dynamodb:PartiQLInsert",
        "dynamodb:PartiQLSelect",
        "dynamodb:PartiQLUpdate",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
      ]
      Resource = module.table.arn
      Condition = {
        ArnNotEquals = { "aws:PrincipalArn" = var.role_arns }
        Bool         = { "aws:PrincipalIsAWSService" = "false" }
      }
    }]
  })
}
