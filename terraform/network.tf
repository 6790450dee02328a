# The network of what needs the ledger. Functions that do not need it stay outside: see docs/network.md.

locals {
  # Known before anything is made: what is created must not depend on ids that nobody knows yet.
  networked = var.network.create || var.network.vpc_id != null

  network = local.networked ? module.network[0].network : {
    vpc_id              = null
    subnet_ids          = []
    database_subnet_ids = []
    database_zones      = []
    security_group_ids = {
      functions = []
      tasks     = []
      owners    = []
      internet  = []
      proxy     = []
      database  = []
    }
  }
}

module "network" {
  source = "./modules/network"
  count  = local.networked ? 1 : 0

  platform      = local.place
  settings      = var.network
  hardware_keys = var.switch.hsm == "payment_cryptography"
  logs_key_arn  = module.security.key_arns.logs
  endpoints_run = var.target.endpoints_run
}

output "network" {
  description = "The VPC of functions, tasks and database. No vpc_id: nothing is in a VPC."
  value = merge(local.network, {
    created         = var.network.create
    cidr            = one(module.network[*].cidr)
    route_table_ids = try(module.network[0].route_table_ids, {})
    endpoints       = try(module.network[0].endpoints, {})
    flow_log_group  = one(module.network[*].flow_log_group)
  })
}

# An existing database is somewhere else than the VPC that is made for its users.
check "way_to_the_database" {
  assert {
    condition     = !var.network.create || var.ledger.host == null || length(var.network.database_cidrs) > 0
    error_message = "The VPC is new, and the database of `ledger.host` has another network: give its addresses as network.database_cidrs and connect the two (peering, transit gateway) by the route tables in the output `network`; or name the database's own VPC as `network`."
  }
}
