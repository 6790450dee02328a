output "state_machine_arn" {
  description = "ARN of the rules engine."
  value       = aws_sfn_state_machine.this.arn
}

output "function" {
  description = "The function apply_rules."
  value       = { name = module.function.name, arn = module.function.arn }
}

output "queue" {
  description = "The queue in front of the pipe and its dead-letter queue; name, url and arn are null with delivery realtime."
  value       = module.queue.queue
}

output "velocity" {
  description = "The table that counts card uses."
  value       = { name = module.velocity.name, arn = module.velocity.arn, stream_arn = null }
}

output "pipes" {
  description = "The pipe into the rules engine, as DescribePipe shows it; none with delivery realtime."
  value       = local.buffered ? { rules = merge(local.definition, { managed = var.pipes_run }) } : {}
}

output "subscription" {
  description = "The rule in front of the rules engine: on which bus, for which events, and where it leads."
  value = {
    bus         = var.bus.name
    pattern     = aws_cloudwatch_event_rule.this.event_pattern
    target_arns = [aws_cloudwatch_event_target.this.arn]
  }
}

output "rule_name" {
  description = "Name of the rule in front of the rules engine."
  value       = local.rule_name
}
