# What answers, and what produces cards that were ordered. Each has the rights of its own work.

locals {
  # By the edge alone, where it is asked for.
  edge_environment = var.edge_key == null ? {} : var.edge_key.environment
  edge_statements  = var.edge_key == null ? [] : var.edge_key.statements

  token_environment = {
    POSTRAIL_TOKEN_ISSUER   = var.token.issuer
    POSTRAIL_TOKEN_AUDIENCE = var.token.audience
    POSTRAIL_TOKEN_KEYS     = var.token.keys
  }

  # Who checks tokens may have to ask their issuer.
  vpc = merge(var.ledger.vpc, { security_group_ids = concat(var.ledger.vpc.security_group_ids, var.internet_group_ids) })

  # The pipeline finds account and branch of a card by the item that ordering it writes.
  tell_pipeline = [
    {
      sid       = "TellPipelineOfCards"
      actions   = ["dynamodb:PutItem"]
      resources = [var.reference_table.arn]
      condition = {}
    },
    var.tables_key_statement,
  ]

  notify = [
    {
      sid = "NotifyCustomers"
      # An emulator that checks rights wants the second for batches; IAM has the first for both.
      actions   = var.platform.emulator ? ["sns:Publish", "sns:PublishBatch"] : ["sns:Publish"]
      resources = [var.notifications_topic_arn]
      condition = {}
    },
    {
      # The topic is encrypted, and SNS asks its publisher for both.
      sid       = "UseTopicKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.platform.events_key_arn]
      condition = { StringEquals = { "kms:ViaService" = "sns.${var.platform.region}.amazonaws.com" } }
    },
  ]
}

module "serve_bank_api" {
  source = "../function"

  platform        = var.platform
  bus_name        = var.bus_name
  name            = "serve_bank_api"
  description     = "Opens accounts, tells balances, and issues cards."
  memory_mb       = var.memory_mb
  timeout_seconds = 28 # an answer of its own before the API gives up
  environment = merge(var.ledger.environment, var.keep_cards.environment, local.token_environment, local.edge_environment, {
    POSTRAIL_REFERENCE_TABLE = var.reference_table.name
  })
  statements = concat(var.ledger.statements, var.keep_cards.statements, local.tell_pipeline, local.edge_statements)
  vpc        = local.vpc
}

module "serve_network_api" {
  source = "../function"

  platform        = var.platform
  bus_name        = var.bus_name
  name            = "serve_network_api"
  description     = "Takes in customers of the network and cards to be produced."
  memory_mb       = var.memory_mb
  timeout_seconds = 28
  environment     = merge(var.ledger.environment, local.token_environment, local.edge_environment)
  statements      = concat(var.ledger.statements, local.edge_statements)
  vpc             = local.vpc
}

module "produce_cards" {
  source = "../schedule"

  platform    = var.platform
  bus_name    = var.bus_name
  name        = "produce_cards"
  description = "Produces cards that were ordered, and tells their holders."
  # With all that an order needs: it also brings orders to their end that broke off.
  environment = merge(var.ledger.environment, var.keep_cards.environment, {
    POSTRAIL_REFERENCE_TABLE         = var.reference_table.name
    POSTRAIL_NOTIFICATIONS_TOPIC_ARN = var.notifications_topic_arn
  })
  statements = concat(var.ledger.statements, var.keep_cards.statements, local.tell_pipeline, local.notify)
  vpc        = var.ledger.vpc
}
