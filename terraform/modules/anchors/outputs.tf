output "uri" {
  description = "Where anchors lie: s3://bucket/prefix, as `postrail ledger verify --anchor` takes it."
  value       = local.uri
}

output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.anchors.id
}

output "function" {
  description = "The function anchor_ledger."
  value       = module.anchor_ledger.function
}

output "alarms" {
  description = "Alarms by name. Payments are not at risk without anchors, the proof is."
  value       = { for alarm in aws_cloudwatch_metric_alarm.missing : alarm.alarm_name => { arn = alarm.arn, risk = false } }
}
