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
