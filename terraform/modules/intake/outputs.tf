output "tables" {
  description = "The tables authorizations and dedup."
  value = {
    authorizations = { name = module.authorizations.name, arn = module.authorizations.arn, stream_arn = module.authorizations.stream_arn }
    dedup          = { name = module.dedup.name, arn = module.dedup.arn, stream_arn = null }
  }
}

output "parked_bucket" {
  description = "Name of the bucket of parked events."
  value       = aws_s3_bucket.parked.id
}

output "function" {
  description = "The function deduplicate."
  value       = module.deduplicate.function
}

output "queue" {
  description = "The stage's queue and dead-letter queue; name, url and arn are null with delivery realtime."
  value       = module.deduplicate.queue
}

output "pipe_dead_letter_queue" {
  description = "Where the pipe's dead letters go."
  value       = module.pipe_queue.dead_letter_queue
}

output "pipes" {
  description = "The intake pipe, as DescribePipe shows it."
  value       = { intake = merge(local.definition, { managed = var.pipes_run }) }
}

output "subscriptions" {
  description = "The rule of the stage deduplicate by name: on which bus, for which events, and where it leads."
  value       = { (module.deduplicate.rule_name) = module.deduplicate.subscription }
}
