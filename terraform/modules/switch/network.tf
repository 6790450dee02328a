# Who reaches whom: acquirers reach networks, networks reach banks, and all of it goes through the load balancer. The ways to the
# database and to AWS's services are in the security groups that `place` brings along.

resource "aws_security_group" "load_balancer" {
  count = local.runs ? 1 : 0

  name        = "${local.name}-load-balancer"
  description = "The load balancer of the switch."
  vpc_id      = var.place.vpc_id
}

resource "aws_security_group" "task" {
  for_each = local.runs ? local.parties : {}

  name        = "${local.name}-${each.key}"
  description = "Tasks of ${each.value.kind} ${each.key}."
  vpc_id      = var.place.vpc_id
}

locals {
  running_networks = { for id, party in local.parties : id => party if local.runs && party.kind == "network" }
  running_banks    = { for id, party in local.parties : id => party if local.runs && party.kind == "bank" }

  # Who may call: acquirers any network, and a network the banks that are its members.
  acquirers = { for pair in setproduct(keys(local.running_networks), try(var.place.acquirer_cidrs, [])) : join(" ", pair) => { network = pair[0], cidr = pair[1] } }
  members = merge([
    for bank in var.ecosystem.banks : {
      for network in bank.networks : "${network} ${bank.id}" => { network = network, bank = bank.id } if local.runs
    }
  ]...)
}

resource "aws_vpc_security_group_ingress_rule" "acquirer" {
  for_each = local.acquirers

  security_group_id = aws_security_group.load_balancer[0].id
  description       = "Acquirers call ${each.value.network}."
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = local.parties[each.value.network].listen.port
  to_port           = local.parties[each.value.network].listen.port
}

resource "aws_vpc_security_group_ingress_rule" "member" {
  for_each = local.members

  security_group_id            = aws_security_group.load_balancer[0].id
  description                  = "${each.value.network} calls ${each.value.bank}."
  referenced_security_group_id = aws_security_group.task[each.value.network].id
  ip_protocol                  = "tcp"
  from_port                    = local.parties[each.value.bank].listen.port
  to_port                      = local.parties[each.value.bank].listen.port
}

resource "aws_vpc_security_group_egress_rule" "to_task" {
  for_each = aws_security_group.task

  security_group_id            = aws_security_group.load_balancer[0].id
  description                  = "Calls for ${each.key}."
  referenced_security_group_id = each.value.id
  ip_protocol                  = "tcp"
  from_port                    = local.parties[each.key].listen.port
  to_port                      = local.parties[each.key].listen.port
}

resource "aws_vpc_security_group_egress_rule" "health" {
  for_each = aws_security_group.task

  security_group_id            = aws_security_group.load_balancer[0].id
  description                  = "Health checks of ${each.key}."
  referenced_security_group_id = each.value.id
  ip_protocol                  = "tcp"
  from_port                    = local.health_port
  to_port                      = local.health_port
}

resource "aws_vpc_security_group_ingress_rule" "from_load_balancer" {
  for_each = aws_security_group.task

  security_group_id            = each.value.id
  description                  = "Calls, by the load balancer alone."
  referenced_security_group_id = aws_security_group.load_balancer[0].id
  ip_protocol                  = "tcp"
  from_port                    = local.parties[each.key].listen.port
  to_port                      = local.parties[each.key].listen.port
}

resource "aws_vpc_security_group_ingress_rule" "health" {
  for_each = aws_security_group.task

  security_group_id            = each.value.id
  description                  = "Health checks, by the load balancer alone."
  referenced_security_group_id = aws_security_group.load_balancer[0].id
  ip_protocol                  = "tcp"
  from_port                    = local.health_port
  to_port                      = local.health_port
}

resource "aws_vpc_security_group_egress_rule" "to_member" {
  for_each = local.members

  security_group_id            = aws_security_group.task[each.value.network].id
  description                  = "Authorizations for ${each.value.bank}."
  referenced_security_group_id = aws_security_group.load_balancer[0].id
  ip_protocol                  = "tcp"
  from_port                    = local.parties[each.value.bank].listen.port
  to_port                      = local.parties[each.value.bank].listen.port
}
