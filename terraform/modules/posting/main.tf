# PostingRequested -> queue -> post -> ledger -> outbox -> bus, and the schedules that look after what is left over.

locals {
  publish = {
    sid       = "Publish"
    actions   = ["events:PutEvents"]
    resources = [var.bus.arn]
    condition = {}
  }
}

module "post" {
  source = "../stage"

  platform     = var.platform
  bus          = var.bus
  settings     = var.settings
  name         = "post"
  queue_name   = "posting"
  description  = "Assembles posting sequences and posts them to the ledger."
  detail_types = ["PostingRequested"]
  environment  = merge(var.ledger.environment, { POSTRAIL_POSTING_INPUT_FORMAT = var.posting_input_format })
  statements   = concat(var.ledger.statements, [local.publish])
  vpc          = var.ledger.vpc
}

module "relay_outbox" {
  source = "../schedule"

  platform    = var.platform
  bus_name    = var.bus.name
  name        = "relay_outbox"
  description = "Publishes events that were committed with the ledger and did not leave at once."
  environment = var.ledger.environment
  statements  = concat(var.ledger.statements, [local.publish])
  vpc         = var.ledger.vpc
}

module "watch_sequences" {
  source = "../schedule"

  platform    = var.platform
  bus_name    = var.bus.name
  name        = "watch_sequences"
  description = "Reports posting sequences whose parts are missing for too long."
  environment = merge(var.ledger.environment, { POSTRAIL_SEQUENCE_TIMEOUT_SECONDS = tostring(var.sequence_timeout_seconds) })
  statements  = concat(var.ledger.statements, [local.publish])
  vpc         = var.ledger.vpc
}

module "expire_holds" {
  source = "../schedule"

  platform    = var.platform
  bus_name    = var.bus.name
  name        = "expire_holds"
  description = "Ends the holds that are due."
  expression  = var.expire_holds_schedule
  environment = var.ledger.environment
  statements  = var.ledger.statements
  vpc         = var.ledger.vpc
}
