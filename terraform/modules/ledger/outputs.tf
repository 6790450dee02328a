output "secret_arn" {
  description = "ARN of the secret with host, port, dbname, username and password."
  value       = aws_secretsmanager_secret.ledger.arn
}

output "access" {
  description = "What a function needs to use the ledger: rights, settings and network."
  value       = { statements = local.statements, environment = local.environment, vpc = var.vpc }

  # A function must find a secret that has a value.
  depends_on = [aws_secretsmanager_secret_version.ledger]
}

output "function" {
  description = "The function migrate_ledger."
  value       = { name = module.migrate.name, arn = module.migrate.arn }
}
