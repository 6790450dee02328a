output "function" {
  description = "The scheduled function."
  value       = { name = module.function.name, arn = module.function.arn }
}
