output "queue" {
  description = "The queue and its dead-letter queue; name, url and arn are null without a buffer."
  value = {
    name     = one(aws_sqs_queue.this[*].name)
    url      = one(aws_sqs_queue.this[*].id)
    arn      = one(aws_sqs_queue.this[*].arn)
    dlq_name = aws_sqs_queue.dead.name
    dlq_url  = aws_sqs_queue.dead.id
    dlq_arn  = aws_sqs_queue.dead.arn
  }
}

output "dead_letter_queue" {
  description = "The dead-letter queue alone: a function needs not wait for the queue in front of it."
  value       = { name = aws_sqs_queue.dead.name, url = aws_sqs_queue.dead.id, arn = aws_sqs_queue.dead.arn }
}

output "composed_arn" {
  description = "ARN of the queue before it exists, for policies."
  value       = "${local.arn_prefix}${local.names.main}"
}
