output "secret_arn" {
  description = "ARN of the secret by which the ledger is entered: that of an existing database, else that of the proxy, which nobody else needs."
  value       = local.external ? aws_secretsmanager_secret.ledger[0].arn : aws_secretsmanager_secret.application[0].arn
}

output "access" {
  description = "What a function needs to use the ledger: rights, settings and network."
  value       = { statements = local.statements, environment = local.environment, vpc = local.functions_vpc }

  # A function must find a secret that has a value, or a proxy that leads somewhere.
  depends_on = [aws_secretsmanager_secret_version.ledger, aws_db_proxy_target.this]
}

output "database" {
  description = "The database that was made, and its proxy; null for an existing one."
  value = local.external ? null : merge(module.database[0].cluster, {
    proxy            = aws_db_proxy.this[0].name
    proxy_endpoint   = aws_db_proxy.this[0].endpoint
    proxy_log_group  = aws_cloudwatch_log_group.proxy[0].name
    owner_secret_arn = module.database[0].owner_secret_arn
    rotation_days    = var.database.rotation_days
  })
}

output "function" {
  description = "The function migrate_ledger."
  value       = { name = module.migrate.name, arn = module.migrate.arn }
}

output "functions" {
  description = "The functions of the ledger's owner, by their folder under lambdas/."
  value = merge(
    { migrate_ledger = { name = module.migrate.name, arn = module.migrate.arn } },
    { for function in module.rotate : "rotate_ledger_secret" => { name = function.name, arn = function.arn } },
  )
}

output "names" {
  description = "What dashboards and alarms know it by: clusters and proxies by their short names."
  value = {
    clusters = local.external ? {} : { ledger = "${var.platform.name_prefix}-ledger" }
    proxies  = local.external ? {} : { ledger = local.proxy_name }
  }
}
