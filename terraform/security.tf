# Keys, who may open the card vault, the record of who touched what, and what stands before the APIs.

locals {
  ecosystem = yamldecode(file(local.ecosystem_file))

  # Composed, since the key must name them before they can be made: the functions that issue cards, and each party of the switch.
  vault_role_arns = [
    for name in concat(
      ["serve-bank-api-function", "produce-cards-function"],
      [for party in concat(local.ecosystem.networks, local.ecosystem.banks) : "switch-${party.id}"],
    ) : "arn:${local.place.partition}:iam::${local.place.account_id}:role/${var.name_prefix}-${name}"
  ]
}

module "security" {
  source = "./modules/security"

  platform            = local.place
  vault_role_arns     = local.vault_role_arns
  deletion_protection = var.deletion_protection
}

# On a target without trails there is nothing to watch.
module "audit" {
  source = "./modules/audit"
  count  = var.target.audit_trail && var.audit.enabled ? 1 : 0

  platform            = merge(local.place, { log_retention_days = var.log_retention_days })
  settings            = var.audit
  audit_key_arn       = module.security.key_arns.audit
  guarded_key_arns    = [for name in ["anchors", "audit", "cards", "ledger", "parked", "switch"] : module.security.key_arns[name]]
  alerts_topic_arn    = module.notifications.topics.alerts
  alarms_run          = var.target.alarms_run
  deletion_protection = var.deletion_protection

  vault = {
    table_arn  = module.card_vault.vault.table_arn
    key_arn    = module.card_vault.vault.key_arn
    role_names = ["${var.name_prefix}-serve-bank-api-function", "${var.name_prefix}-produce-cards-function", "${var.name_prefix}-switch-*"]
  }

  bucket_arns = [
    for name in [module.intake.parked_bucket, module.anchors.bucket, module.batch.batch.bucket] : "arn:${local.place.partition}:s3:::${name}"
  ]
}

module "edge_key" {
  source = "./modules/edge_key"
  count  = var.target.edge && var.edge.enabled ? 1 : 0

  platform            = local.place
  edge_key_arn        = module.security.key_arns.edge
  deletion_protection = var.deletion_protection
}

module "edge" {
  source = "./modules/edge"
  count  = var.target.edge && var.edge.enabled ? 1 : 0

  providers = { aws = aws.us_east_1 }

  platform            = merge(local.place, { log_retention_days = var.log_retention_days })
  settings            = merge(var.edge, { body_bytes_max = 16384 }) # what the APIs take: BODY_BYTES_MAX in switch/issuing/api/serve.py
  apis                = { bank = module.api.api.bank_url, network = module.api.api.network_url }
  deletion_protection = var.deletion_protection
}
