output "functions" {
  description = "The functions post, relay_outbox and watch_sequences."
  value = {
    post            = module.post.function
    relay_outbox    = module.relay_outbox.function
    watch_sequences = module.watch_sequences.function
  }
}

output "queue" {
  description = "The posting queue and its dead-letter queue."
  value       = module.post.queue
}
