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

  # The keys that wrap data keys of one purpose are told apart by their encryption context, which the vault's code names.
  of_lookup_item = {
    "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = "KEY#lookup#1" }
    Null                        = { "dynamodb:LeadingKeys" = "false" } # "for all" is also true of none
  }
  for_lookup = { StringEquals = { "kms:EncryptionContext:postrail:purpose" = "pan-lookup" } }
  for_cards  = { StringEquals = { "kms:EncryptionContext:postrail:purpose" = "card-vault" } }

  # Networks and banks: the key of the keyed hash by which numbers are found, and nothing with which one could be read.
  find_cards = [
    { sid = "ReadLookupKey", actions = ["dynamodb:GetItem"], resources = [module.table.arn], condition = local.of_lookup_item },
    { sid = "UnwrapLookupKey", actions = ["kms:Decrypt"], resources = [var.cards_key_arn], condition = local.for_lookup },
    local.use_table_key,
  ]

  # Whoever issues first makes that key.
  make_lookup = concat(local.find_cards, [
    { sid = "KeepLookupKey", actions = ["dynamodb:PutItem"], resources = [module.table.arn], condition = local.of_lookup_item },
    { sid = "WrapLookupKey", actions = ["kms:GenerateDataKey"], resources = [var.cards_key_arn], condition = local.for_lookup },
  ])

  # The bank's API makes numbers and keeps them. It shows one once, from its memory: it may read the table to know a card
  # again, but not unwrap what would open it.
  keep_cards = concat(local.make_lookup, [
    { sid = "KeepCards", actions = ["dynamodb:GetItem", "dynamodb:PutItem"], resources = [module.table.arn], condition = {} },
    { sid = "WrapCards", actions = ["kms:GenerateDataKey"], resources = [var.cards_key_arn], condition = local.for_cards },
  ])
}

module "table" {
  source = "../table"

  name                = "${var.platform.name_prefix}-card-vault"
  hash_key            = "pk"
  key_arn             = var.cards_key_arn
  deletion_protection = var.deletion_protection
}
