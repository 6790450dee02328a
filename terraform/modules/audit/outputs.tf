output "trail_arn" {
  description = "ARN of the trail."
  value       = aws_cloudtrail.this.arn
}

output "bucket" {
  description = "Name of the bucket of records."
  value       = aws_s3_bucket.records.id
}

output "log_group" {
  description = "Log group in which the records can be searched."
  value       = aws_cloudwatch_log_group.records.name
}

output "alarms" {
  description = "Alarms by name. They tell of people, and put no payment at risk."
  value       = { for alarm in aws_cloudwatch_metric_alarm.watched : alarm.alarm_name => { arn = alarm.arn, risk = false } }
}
