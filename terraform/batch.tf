# The batch road: a file in the inbox, one task, the same ledger.

locals {
  # Rules on the default bus, where AWS's own services tell what happened. Composed, so that the topic needs not wait.
  default_bus_rules = "arn:${local.place.partition}:events:${var.region}:${local.place.account_id}:rule/${var.name_prefix}-*"

  batch_settings = merge(var.batch, {
    image_tag          = var.batch_image_tag
    workers            = coalesce(var.batch.workers, max(1, floor(var.batch.cpu / 1024)))
    subnet_ids         = local.network.subnet_ids
    security_group_ids = local.network.security_group_ids.tasks
  })
}

module "batch" {
  source = "./modules/batch"

  platform             = local.platform
  settings             = local.batch_settings
  batch_key_arn        = module.security.key_arns.batch
  ledger               = { statements = module.ledger.access.statements, environment = module.ledger.access.environment }
  reference_table      = { name = module.reference.name, arn = module.reference.arn, key_arn = module.security.key_arns.tables }
  posting_input_format = var.posting_input_format
  alerts_topic_arn     = module.notifications.topics.alerts
  tasks_run            = var.target.tasks_run
  alarms_run           = var.target.alarms_run
  deletion_protection  = var.deletion_protection
}
