# Cards: the vault of their numbers, the APIs that issue them, and the switch at which they pay.

locals {
  ecosystem_file = startswith(var.ecosystem_file, "/") ? var.ecosystem_file : "${path.root}/${var.ecosystem_file}"

  # Generated beside the OpenAPI documents, from the list that the functions themselves route by.
  api_routes = jsondecode(file("${path.root}/../schemas/api-routes.json"))

  # Where most issuers publish their keys, unless they are said to be elsewhere.
  published_keys = startswith(var.token_issuer, "https://") && var.target.jwt_authorizer ? "${trimsuffix(var.token_issuer, "/")}/.well-known/jwks.json" : ""

  # Of a document, what checks a signature: the settings of a function have 4 KB, which certificates of some issuers would fill.
  # And no private part, should somebody give one by mistake.
  token_keys = startswith(trimspace(var.token_keys), "{") ? jsonencode({ keys = [
    for key in jsondecode(var.token_keys).keys :
    { for name in ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"] : name => key[name] if can(key[name]) }
  ] }) : var.token_keys != "" ? var.token_keys : local.published_keys
}

module "card_vault" {
  source = "./modules/card_vault"

  platform            = local.place
  cards_key_arn       = module.security.key_arns.cards
  role_arns           = local.vault_role_arns
  deletion_protection = var.deletion_protection
}

module "api" {
  source = "./modules/api"

  platform                = local.platform
  bus_name                = local.bus.name
  routes                  = local.api_routes
  token                   = { issuer = var.token_issuer, audience = var.token_audience, keys = local.token_keys }
  jwt_authorizer          = var.target.jwt_authorizer
  internet_group_ids      = local.network.security_group_ids.internet
  throttling              = { requests_per_second = var.api.requests_per_second, burst = var.api.burst }
  memory_mb               = var.api.memory_mb
  ledger                  = module.ledger.access
  keep_cards              = module.card_vault.access.issuing
  reference_table         = { name = module.reference.name, arn = module.reference.arn }
  tables_key_statement    = local.tables_key.statement
  edge_key                = var.edge.guarded ? one(module.edge_key[*].access) : null
  notifications_topic_arn = module.notifications.topics.notifications
  logs_key_arn            = module.security.key_arns.logs
}

module "switch" {
  source = "./modules/switch"

  platform             = local.platform
  ecosystem            = yamldecode(file(local.ecosystem_file))
  settings             = merge(var.switch, { image_tag = var.switch_image_tag })
  ledger               = { statements = module.ledger.access.statements, environment = module.ledger.access.environment }
  card_vault           = { bank = module.card_vault.access.bank, network = module.card_vault.access.network }
  authorizations_table = { name = module.intake.tables.authorizations.name, arn = module.intake.tables.authorizations.arn }
  reference_table      = { name = module.reference.name, arn = module.reference.arn }
  tables_key_statement = local.tables_key.statement
  switch_key_arn       = module.security.key_arns.switch
  logs_key_arn         = module.security.key_arns.logs
  alerts_topic_arn     = module.notifications.topics.alerts
  tasks_run            = var.target.tasks_run
  alarms_run           = var.target.alarms_run
  deletion_protection  = var.deletion_protection

  place = var.switch.run && local.networked ? {
    vpc_id             = local.network.vpc_id
    subnet_ids         = local.network.subnet_ids
    security_group_ids = local.network.security_group_ids.tasks
    acquirer_cidrs     = var.switch.acquirer_cidrs
  } : null
}
