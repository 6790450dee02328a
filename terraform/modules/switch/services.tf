# What runs: a load balancer, and a service for each party behind a port of its own.

locals {
  running = local.runs ? local.parties : {}

  # Names of target groups have 32 letters at most.
  target_group_names = { for id in keys(local.parties) : id => (
    length("${var.platform.name_prefix}-${id}") <= 32
    ? replace("${var.platform.name_prefix}-${id}", "_", "-")
    : "${trimsuffix(substr(replace("${var.platform.name_prefix}-${id}", "_", "-"), 0, 25), "-")}-${substr(sha256(id), 0, 6)}"
  ) }
}

resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_91:a network load balancer logs TLS listeners alone, and these are TCP; flow logs tell who connected

  count = local.runs ? 1 : 0

  name                             = local.name
  load_balancer_type               = "network"
  internal                         = true
  subnets                          = var.place.subnet_ids
  security_groups                  = [aws_security_group.load_balancer[0].id]
  enable_cross_zone_load_balancing = true # a few long connections spread badly over zones
  enable_deletion_protection       = var.deletion_protection

  # Traffic from acquirers over PrivateLink is filtered like any other.
  enforce_security_group_inbound_rules_on_private_link_traffic = "on"

  lifecycle {
    precondition {
      condition     = length(var.place.subnet_ids) >= 2
      error_message = "A switch that outlives the loss of a zone needs subnets in two: give `network` two zones or more."
    }
  }
}

# One load balancer, a port each, and a name for each: whoever looks for a party needs not know what stands before it.
resource "aws_route53_zone" "this" {
  count = local.runs ? 1 : 0

  name          = local.domain
  comment       = "Parties of the switch."
  force_destroy = false

  vpc {
    vpc_id = var.place.vpc_id
  }
}

resource "aws_route53_record" "party" {
  for_each = local.hosts

  zone_id = aws_route53_zone.this[0].zone_id
  name    = each.value
  type    = "A"

  alias {
    name                   = aws_lb.this[0].dns_name
    zone_id                = aws_lb.this[0].zone_id
    evaluate_target_health = false # the load balancer itself passes by who is not well
  }
}

resource "aws_lb_target_group" "party" {
  for_each = local.running

  name                 = local.target_group_names[each.key]
  vpc_id               = var.place.vpc_id
  target_type          = "ip"
  protocol             = "TCP"
  port                 = each.value.listen.port
  deregistration_delay = 60

  # Who is connected to a task that goes is told so, and connects anew; otherwise it would find out by silence.
  connection_termination = true

  health_check {
    protocol            = "HTTP"
    port                = tostring(local.health_port)
    path                = "/health"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "party" {
  for_each = local.running

  load_balancer_arn = aws_lb.this[0].arn
  protocol          = "TCP" # TLS, where the ecosystem wants it, is between the parties: each shows its certificate to the other
  port              = each.value.listen.port

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.party[each.key].arn
  }
}

resource "aws_ecs_service" "party" {
  for_each = local.running

  name                               = each.key
  cluster                            = aws_ecs_cluster.this.arn
  task_definition                    = aws_ecs_task_definition.party[each.key].arn
  desired_count                      = var.settings.tasks_min
  launch_type                        = "FARGATE"
  platform_version                   = "LATEST"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 60
  enable_execute_command             = false # nobody gets a shell where card numbers pass
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"

  network_configuration {
    subnets          = var.place.subnet_ids
    security_groups  = concat([aws_security_group.task[each.key].id], var.place.security_group_ids)
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.party[each.key].arn
    container_name   = local.container
    container_port   = each.value.listen.port
  }

  # An image that does not come up is given up, and the one before stays.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [desired_count] # autoscaling's
  }

  # The first task must find its rights, and a listener: a target group without one has no health.
  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.party, aws_lb_listener.party]
}

resource "aws_appautoscaling_target" "party" {
  for_each = local.running

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.party[each.key].name}"
  min_capacity       = var.settings.tasks_min
  max_capacity       = var.settings.tasks_max
}

resource "aws_appautoscaling_policy" "cpu" {
  for_each = aws_appautoscaling_target.party

  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = each.value.service_namespace
  scalable_dimension = each.value.scalable_dimension
  resource_id        = each.value.resource_id

  target_tracking_scaling_policy_configuration {
    target_value = var.settings.cpu_target_percent
    # Out at once. In slowly: every task that goes cuts connections, which come back as work.
    scale_out_cooldown = 60
    scale_in_cooldown  = 900

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "alone" {
  for_each = var.alarms_run ? local.running : {}

  alarm_name          = "${local.name}-${each.key}-too-few"
  alarm_description   = "Fewer healthy tasks of ${each.value.kind} ${each.key} than should run. What it says, what is at stake and what to do: docs/alarms.md#switch-too-few. Severity page: wake somebody. Payments are at risk."
  namespace           = "AWS/NetworkELB"
  metric_name         = "HealthyHostCount"
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = var.settings.tasks_min
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = [var.alerts_topic_arn]
  ok_actions          = [var.alerts_topic_arn]

  dimensions = {
    LoadBalancer = aws_lb.this[0].arn_suffix
    TargetGroup  = aws_lb_target_group.party[each.key].arn_suffix
  }
}
