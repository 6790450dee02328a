# The ledger: a database of its own, Aurora behind a proxy, unless `ledger.host` names one that is there.

module "ledger" {
  source = "./modules/ledger"

  platform            = local.platform
  bus_name            = module.event_bus.name
  database            = var.ledger
  password            = var.ledger_password
  network             = local.network
  ledger_key_arn      = module.security.key_arns.ledger
  telemetry_run       = var.target.database_telemetry
  deletion_protection = var.deletion_protection
}

output "ledger" {
  description = "The database that was made, and its proxy; null where `ledger.host` names another."
  value       = module.ledger.database
}
