output "topics" {
  description = "Topic ARNs by name: alerts, notifications."
  value       = { for name, topic in aws_sns_topic.this : name => topic.arn }
}
