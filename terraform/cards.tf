# Cards: the vault of their numbers, and the switch at which they pay.

locals {
  ecosystem_file = startswith(var.ecosystem_file, "/") ? var.ecosystem_file : "${path.root}/${var.ecosystem_file}"
}

module "card_vault" {
  source = "./modules/card_vault"

  platform            = local.place
  cards_key_arn       = module.security.key_arns.cards
  deletion_protection = var.deletion_protection
}

module "switch" {
  source = "./modules/switch"

  platform             = local.platform
  ecosystem            = yamldecode(file(local.ecosystem_file))
  settings             = merge(var.switch, { image_tag = var.switch_image_tag })
  ledger               = { statements = module.ledger.access.statements, environment = module.ledger.access.environment }
  find_cards           = module.card_vault.find_cards
  authorizations_table = { name = module.intake.tables.authorizations.name, arn = module.intake.tables.authorizations.arn }
  tables_key_statement = local.tables_key.statement
  switch_key_arn       = module.security.key_arns.switch
  logs_key_arn         = module.security.key_arns.logs
  alerts_topic_arn     = module.notifications.topics.alerts
  tasks_run            = var.target.tasks_run
  alarms_run           = var.target.alarms_run
  deletion_protection  = var.deletion_protection

  place = {
    vpc_id             = var.switch.vpc_id
    subnet_ids         = var.switch.subnet_ids
    security_group_ids = coalesce(var.switch.security_group_ids, var.ledger.security_group_ids)
    acquirer_cidrs     = var.switch.acquirer_cidrs
  }
}
