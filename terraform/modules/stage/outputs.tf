output "function" {
  description = "The stage's function."
  value       = { name = module.function.name, arn = module.function.arn }
}

output "queue" {
  description = "The stage's queue and dead-letter queue; name, url and arn are null with delivery realtime."
  value       = module.queue.queue
}
