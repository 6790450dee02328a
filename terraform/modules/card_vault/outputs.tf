output "vault" {
  description = "The table and its key."
  value = {
    table     = module.table.name
    table_arn = module.table.arn
    key_arn   = var.cards_key_arn
  }
}

output "access" {
  description = "What each needs of the vault, rights and settings: bank (knows cards again), network (seals messages too), issuing (keeps cards)."
  value       = { for name, statements in local.access : name => { statements = statements, environment = local.environment } }
}
