output "topics" {
  description = "Topic ARNs by name: alerts, notifications."
  value       = { for name, topic in aws_sns_topic.this : name => topic.arn }
}

output "subscriptions" {
  description = "The rules behind the alerts by name: on which bus, for which events, and where they lead."
  value = { for key, rule in aws_cloudwatch_event_rule.alert : rule.name => {
    bus         = var.bus.name
    pattern     = rule.event_pattern
    target_arns = [aws_cloudwatch_event_target.alert[key].arn]
  } }
}

output "rules" {
  description = "Rules that feed the topic `alerts`, by their names without the prefix."
  value       = keys(local.alert_patterns)
}
