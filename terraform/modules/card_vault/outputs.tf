output "vault" {
  description = "The table and its key."
  value = {
    table     = module.table.name
    table_arn = module.table.arn
    key_arn   = var.cards_key_arn
  }
}

output "find_cards" {
  description = "What those need who only know cards again: rights and settings."
  value       = { statements = local.find_cards, environment = local.environment }
}

output "make_lookup" {
  description = "What those need who know cards again and may be the first to do so: rights and settings."
  value       = { statements = local.make_lookup, environment = local.environment }
}

output "keep_cards" {
  description = "What those need who keep card numbers: rights and settings."
  value       = { statements = local.keep_cards, environment = local.environment }
}
