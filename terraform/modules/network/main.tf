# The network of what needs the ledger: functions, tasks, proxy and database. Subnets without a way to the internet, in several
# zones; AWS's services are reached by endpoints, each for what the code behind it does and no more (endpoints.tf). Who may
# speak to whom is said by security groups that name each other, never by addresses (groups.tf).
#
# A bank that brings its own VPC gets the security groups alone.

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:the first ones by name are taken, and a zone that AWS adds comes after them; zone_names says which otherwise
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"] # no local zones: endpoints and databases are not there
  }
}

locals {
  name   = "${var.platform.name_prefix}-network"
  create = var.settings.create
  vpc_id = local.create ? aws_vpc.this[0].id : var.settings.vpc_id

  chosen = coalesce(var.settings.zone_names, slice(
    data.aws_availability_zones.available.names, 0, min(var.settings.zones, length(data.aws_availability_zones.available.names)),
  ))

  # A zone keeps its number, and with it its addresses.
  zones  = local.create ? { for index, zone in local.chosen : zone => index } : {}
  public = var.settings.nat ? local.zones : {}
}

resource "aws_vpc" "this" {
  count = local.create ? 1 : 0

  cidr_block           = var.settings.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # private names of endpoints need both

  tags = { Name = local.name }

  lifecycle {
    precondition {
      condition     = length(local.chosen) >= 2 && (var.settings.zone_names != null || length(local.chosen) == var.settings.zones)
      error_message = "The region does not have as many zones as `network.zones` asks for."
    }
  }
}

# What nobody put into a group of its own gets this one, which lets nothing in and nothing out.
resource "aws_default_security_group" "this" {
  count = local.create ? 1 : 0

  vpc_id = aws_vpc.this[0].id
}

# A sixteenth of the addresses for each zone's functions, tasks and endpoints: 4,091 of a /16.
resource "aws_subnet" "compute" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.settings.cidr, 4, each.value)
  map_public_ip_on_launch = false

  tags = { Name = "${local.name}-compute-${each.key}" }
}

# Apart, so that routes and access lists of the database can differ from those of code.
resource "aws_subnet" "database" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.settings.cidr, 8, 240 + each.value)
  map_public_ip_on_launch = false

  tags = { Name = "${local.name}-database-${each.key}" }
}

# One for each zone: with NAT each zone leaves by its own gateway, and the loss of one takes no other along.
resource "aws_route_table" "compute" {
  for_each = local.zones

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${local.name}-compute-${each.key}" }
}

resource "aws_route_table_association" "compute" {
  for_each = local.zones

  subnet_id      = aws_subnet.compute[each.key].id
  route_table_id = aws_route_table.compute[each.key].id
}

# Nothing but the VPC itself: a database calls nobody.
resource "aws_route_table" "database" {
  count = local.create ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${local.name}-database" }
}

resource "aws_route_table_association" "database" {
  for_each = local.zones

  subnet_id      = aws_subnet.database[each.key].id
  route_table_id = aws_route_table.database[0].id
}
