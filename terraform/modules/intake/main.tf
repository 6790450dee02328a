# The two doors and the one check: the table's stream through a Pipe, and PaymentAuthorized on the bus, both through the
# function deduplicate.

module "authorizations" {
  source = "../table"

  name                = "${var.platform.name_prefix}-authorizations"
  hash_key            = "payment_id"
  expires             = true
  stream              = true
  key_arn             = var.tables_key.arn
  deletion_protection = var.deletion_protection
}

module "dedup" {
  source = "../table"

  name                = "${var.platform.name_prefix}-dedup"
  hash_key            = "payment_key"
  expires             = true
  key_arn             = var.tables_key.arn
  deletion_protection = var.deletion_protection
}

module "deduplicate" {
  source = "../stage"

  platform     = var.platform
  bus          = var.bus
  settings     = var.settings
  name         = "deduplicate"
  description  = "Accepts the first sight of a payment and parks every other."
  sources      = [] # the published door: producers use their own names
  detail_types = ["PaymentAuthorized"]

  environment = {
    POSTRAIL_DEDUP_TABLE        = module.dedup.name
    POSTRAIL_DEDUP_WINDOW_HOURS = tostring(var.dedup_window_hours)
    POSTRAIL_PARKED_BUCKET      = aws_s3_bucket.parked.id
  }

  statements = [
    {
      # Transactions of conditional puts; IAM asks for what they are made of.
      sid       = "ClaimPaymentKeys"
      actions   = ["dynamodb:PutItem"]
      resources = [module.dedup.arn]
    },
    var.tables_key.statement,
    {
      sid       = "ParkDuplicates"
      actions   = ["s3:PutObject"]
      resources = ["${aws_s3_bucket.parked.arn}/*"]
    },
    {
      sid       = "UseParkedKey"
      actions   = ["kms:GenerateDataKey"]
      resources = [var.parked_key_arn]
    },
    {
      sid       = "Publish"
      actions   = ["events:PutEvents"]
      resources = [var.bus.arn]
    },
  ]
}
