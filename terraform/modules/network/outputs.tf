output "network" {
  description = "Where functions, tasks and the database live, and the groups that each gets."
  value = {
    vpc_id              = local.vpc_id
    subnet_ids          = local.create ? [for zone in keys(local.zones) : aws_subnet.compute[zone].id] : var.settings.subnet_ids
    database_subnet_ids = local.create ? [for zone in keys(local.zones) : aws_subnet.database[zone].id] : var.settings.subnet_ids
    database_zones      = keys(local.zones) # none in a network of the bank, whose subnets say it themselves

    # Functions and tasks in a network of the bank get its groups as well: they know the ways out of it.
    security_group_ids = {
      functions = concat([aws_security_group.this["functions"].id], var.settings.security_group_ids)
      tasks     = concat([aws_security_group.this["tasks"].id], var.settings.security_group_ids)
      owners    = concat([aws_security_group.this["owners"].id], var.settings.security_group_ids)
      internet  = local.create && var.settings.nat ? [aws_security_group.this["internet"].id] : []
      proxy     = [aws_security_group.this["proxy"].id]
      database  = [aws_security_group.this["database"].id]
    }
  }

  # Whoever is put here finds all ways open: a first invocation may follow at once.
  depends_on = [
    aws_route.nat,
    aws_route_table_association.compute,
    aws_route_table_association.database,
    aws_vpc_endpoint.gateway,
    aws_vpc_endpoint.interface,
    aws_vpc_security_group_egress_rule.database,
    aws_vpc_security_group_egress_rule.endpoints,
    aws_vpc_security_group_egress_rule.gateways,
    aws_vpc_security_group_egress_rule.internet,
    aws_vpc_security_group_egress_rule.outside_database,
    aws_vpc_security_group_ingress_rule.database,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}

output "cidr" {
  description = "Addresses of the VPC that was created; null in a VPC of the bank."
  value       = local.create ? var.settings.cidr : null
}

output "route_table_ids" {
  description = "Route tables of functions and tasks by zone, for routes to the bank's other networks."
  value       = { for zone, table in aws_route_table.compute : zone => table.id }
}

output "endpoints" {
  description = "What each endpoint lets through: actions by service."
  value       = local.create ? { for service, statements in merge(local.gateways, local.interfaces) : service => sort(distinct(flatten(statements[*].Action))) } : {}
}

output "flow_log_group" {
  description = "Log group of the flow logs; null where there are none."
  value       = one(aws_cloudwatch_log_group.flow[*].name)
}
