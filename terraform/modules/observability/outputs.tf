output "namespace" {
  description = "Namespace of this copy's own metrics."
  value       = local.namespace
}

output "dashboards" {
  description = "Full names of the dashboards, by their name in the catalogue."
  value       = { for name, dashboard in aws_cloudwatch_dashboard.this : name => dashboard.dashboard_name }
}

output "payments_at_risk" {
  description = "Name of the alarm over all that put payments at risk; null where no alarm is raised."
  value       = one(aws_cloudwatch_composite_alarm.payments_at_risk[*].alarm_name)
}

output "alarms" {
  description = "Every alarm raised here, by its full name: for which of the catalogue's it stands, and the section of its runbook."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name => { alarm = local.alarms[key].id, runbook = local.alarms[key].runbook } }
}
