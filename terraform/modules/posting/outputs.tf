output "functions" {
  description = "The functions post, relay_outbox, watch_sequences and expire_holds."
  value = {
    post            = module.post.function
    relay_outbox    = module.relay_outbox.function
    watch_sequences = module.watch_sequences.function
    expire_holds    = module.expire_holds.function
  }
}

output "queue" {
  description = "The posting queue and its dead-letter queue."
  value       = module.post.queue
}

output "subscriptions" {
  description = "The rule of the stage post by name: on which bus, for which events, and where it leads."
  value       = { (module.post.rule_name) = module.post.subscription }
}
