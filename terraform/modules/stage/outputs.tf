output "function" {
  description = "The stage's function."
  value       = { name = module.function.name, arn = module.function.arn }
}

output "queue" {
  description = "The stage's queue and dead-letter queue; name, url and arn are null with delivery realtime."
  value       = module.queue.queue
}

output "subscription" {
  description = "The stage's rule: on which bus, for which events, and where it leads."
  value = {
    bus         = var.bus.name
    pattern     = aws_cloudwatch_event_rule.this.event_pattern
    target_arns = [aws_cloudwatch_event_target.this.arn]
  }
}

output "rule_name" {
  description = "Name of the stage's rule."
  value       = local.rule_name
}
