# One key per class of data, so that the right to read one class never implies another. Who may use a key, and by which way,
# is in policies.tf.

locals {
  keys = {
    anchors   = "Postrail: anchors of the ledger"
    audit     = "Postrail: records of who touched what"
    batch     = "Postrail: batch files and their results"
    cards     = "Postrail: card numbers"
    edge      = "Postrail: what the edge shows to the APIs"
    events    = "Postrail: bus, queues and topics"
    functions = "Postrail: settings of functions"
    ledger    = "Postrail: the ledger's database and its credentials"
    logs      = "Postrail: logs"
    parked    = "Postrail: parked events"
    switch    = "Postrail: keys and certificates of the switch"
    tables    = "Postrail: DynamoDB tables"
  }
}

resource "aws_kms_key" "this" {
  for_each = local.keys

  description             = each.value
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_protection ? 30 : 7

  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements[each.key] })
}

resource "aws_kms_alias" "this" {
  for_each = local.keys

  name          = "alias/${var.platform.name_prefix}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
