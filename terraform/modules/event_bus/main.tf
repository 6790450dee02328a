locals {
  bus_name        = "${var.platform.name_prefix}-payments"
  events_arn      = "arn:${var.platform.partition}:events:${var.platform.region}:${var.platform.account_id}"
  rule_arn_prefix = "${local.events_arn}:rule/${local.bus_name}/"
  tls_only = [for statement in [{
    Sid       = "OnlyOverTls"
    Effect    = "Deny"
    Principal = { AWS = "*" }
    Action    = ["sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"]
    Resource  = local.undelivered_arn
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }] : statement if !var.platform.emulator]

  undelivered_name = "${var.platform.name_prefix}-rules-undelivered"
  undelivered_arn  = "arn:${var.platform.partition}:sqs:${var.platform.region}:${var.platform.account_id}:${local.undelivered_name}"
}

resource "aws_cloudwatch_event_bus" "payments" {
  name               = local.bus_name
  kms_key_identifier = var.events_key_arn

  # What the bus cannot encrypt or decrypt lands here instead of nowhere.
  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

# PaymentAuthorized comes from producers and is not yet checked for clear card numbers: only what Postrail itself
# published, after that check, may be kept for replay. This provider version cannot name a key for an archive: it is
# encrypted with AWS's own.
resource "aws_cloudwatch_event_archive" "payments" {
  name             = local.bus_name
  description      = "What Postrail published, for replay."
  event_source_arn = aws_cloudwatch_event_bus.payments.arn
  retention_days   = var.archive_retention_days

  event_pattern = jsonencode({
    source      = ["postrail"]
    detail-type = [{ anything-but = concat(["PaymentAuthorized"], var.archive_leaves_out) }]
  })
}

# Events that a rule could not hand to its target. Encrypted with SQS's own key on purpose: when the events key is what
# fails, the letter must still find a place.
resource "aws_sqs_queue" "undelivered" {
  name                      = local.undelivered_name
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.tls_only, [
      {
        Sid       = "OwnRulesAndBus"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.undelivered_arn
        Condition = { ArnLike = { "aws:SourceArn" = [
          "${local.rule_arn_prefix}${var.platform.name_prefix}-*",
          "${local.events_arn}:event-bus/${local.bus_name}",
        ] } }
      },
    ])
  })
}
