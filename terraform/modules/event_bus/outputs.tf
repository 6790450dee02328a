output "name" {
  description = "Name of the bus."
  value       = aws_cloudwatch_event_bus.payments.name
}

output "arn" {
  description = "ARN of the bus."
  value       = aws_cloudwatch_event_bus.payments.arn
}

output "undelivered" {
  description = "Queue for events that a rule could not deliver."
  value = {
    name = aws_sqs_queue.undelivered.name
    url  = aws_sqs_queue.undelivered.id
    arn  = aws_sqs_queue.undelivered.arn
  }
}

output "rule_arn_prefix" {
  description = "The ARN of a rule on the bus is this and the rule's name. Known before the bus exists."
  value       = local.rule_arn_prefix
}
