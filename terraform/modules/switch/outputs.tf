output "switch" {
  description = "The parties, where they listen, and what their tasks are made of. `managed` false: no service runs."
  value = {
    managed        = local.runs
    cluster_arn    = aws_ecs_cluster.this.arn
    repository_url = aws_ecr_repository.this.repository_url
    parties = { for id, party in local.parties : id => {
      kind                = party.kind
      host                = try(local.hosts[id], null)
      port                = party.listen.port
      task_definition_arn = aws_ecs_task_definition.party[id].arn
      environment         = local.environment[id]
      log_group           = aws_cloudwatch_log_group.party[id].name
      keys_secret_arn     = aws_secretsmanager_secret.keys[id].arn
      tls_secret_arn      = try(aws_secretsmanager_secret.tls[id].arn, null)
    } }
  }
}

output "load_balancer" {
  description = "The load balancer, and each party's target group, as CloudWatch names them; null and none where nothing runs."
  value = {
    name          = one(aws_lb.this[*].arn_suffix)
    target_groups = { for id, group in aws_lb_target_group.party : id => group.arn_suffix }
  }
}

output "alarms" {
  description = "Alarms by name: a party with too few tasks."
  value       = { for alarm in aws_cloudwatch_metric_alarm.alone : alarm.alarm_name => { arn = alarm.arn, risk = true } }
}
