# Who speaks to whom. Every rule but those to S3 and DynamoDB, which have prefix lists, names another group.
#
#   functions, tasks --5432--> proxy --5432--> database <--5432-- owners
#   functions, tasks, owners --443--> endpoints, S3, DynamoDB

locals {
  # EC2 takes no apostrophe in a description, and makes another group of one that is described anew.
  groups = merge(
    {
      functions = "Functions that use the ledger."
      tasks     = "Tasks of the batch road and the switch."
      owners    = "Functions that migrate the ledger and rotate its passwords."
      proxy     = "The proxy before the database."
      database  = "The database of the ledger."
    },
    local.create ? { endpoints = "Endpoints of services of AWS." } : {},
    # Not given to all functions: only those of the APIs have somebody to ask there.
    local.create && var.settings.nat ? { internet = "Who may call https addresses on the internet." } : {},
  )

  postgresql_port = 5432

  # From whom to whom, on PostgreSQL's port.
  database_ways = {
    "functions proxy" = "Functions use the ledger."
    "tasks proxy"     = "Tasks use the ledger."
    "proxy database"  = "The proxy passes statements on."
    "owners database" = "Migrations and rotations go past the proxy."
  }

  callers       = ["functions", "owners", "tasks"] # of AWS's services
  gateway_calls = { for pair in setproduct(local.callers, local.create && var.endpoints_run ? keys(local.gateways) : []) : join(" ", pair) => { group = pair[0], gateway = pair[1] } }

  # An existing database, of whose network only addresses are known here.
  outside = { for pair in setproduct(local.callers, local.create ? var.settings.database_cidrs : []) : join(" ", pair) => { group = pair[0], cidr = pair[1] } }
}

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:functions, tasks, proxy and database get them from the output of this module
  for_each = local.groups

  name        = "${var.platform.name_prefix}-${each.key}"
  description = each.value
  vpc_id      = local.vpc_id

  tags = { Name = "${var.platform.name_prefix}-${each.key}" }
}

resource "aws_vpc_security_group_egress_rule" "database" {
  for_each = local.database_ways

  security_group_id            = aws_security_group.this[split(" ", each.key)[0]].id
  referenced_security_group_id = aws_security_group.this[split(" ", each.key)[1]].id
  description                  = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.postgresql_port
  to_port                      = local.postgresql_port
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each = local.database_ways

  security_group_id            = aws_security_group.this[split(" ", each.key)[1]].id
  referenced_security_group_id = aws_security_group.this[split(" ", each.key)[0]].id
  description                  = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.postgresql_port
  to_port                      = local.postgresql_port
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  for_each = toset(local.create ? local.callers : [])

  security_group_id            = aws_security_group.this[each.key].id
  referenced_security_group_id = aws_security_group.this["endpoints"].id
  description                  = "Services of AWS, by their endpoints."
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  for_each = toset(local.create ? local.callers : [])

  security_group_id            = aws_security_group.this["endpoints"].id
  referenced_security_group_id = aws_security_group.this[each.key].id
  description                  = "Calls by ${each.key}."
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "gateways" {
  for_each = local.gateway_calls

  security_group_id = aws_security_group.this[each.value.group].id
  prefix_list_id    = aws_vpc_endpoint.gateway[each.value.gateway].prefix_list_id
  description       = "${each.value.gateway}, by its gateway."
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "outside_database" {
  for_each = local.outside

  security_group_id = aws_security_group.this[each.value.group].id
  cidr_ipv4         = each.value.cidr
  description       = "The database in a network of its own."
  ip_protocol       = "tcp"
  from_port         = local.postgresql_port
  to_port           = local.postgresql_port
}

resource "aws_vpc_security_group_egress_rule" "internet" {
  count = local.create && var.settings.nat ? 1 : 0

  security_group_id = aws_security_group.this["internet"].id
  cidr_ipv4         = "0.0.0.0/0" # whose keys sign tokens is known by name, and names are not what groups know
  description       = "https addresses on the internet."
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
