output "function" {
  description = "The scheduled function."
  value       = { name = module.function.name, arn = module.function.arn }
}

output "rights" {
  description = "What the function may do: actions by the name of their statement."
  value       = module.function.rights
}
