# What `postrail validate` needs to judge a deployed graph: one function beside the ledger that answers its questions, and the
# list of what must be there, written by the same plan that made it.

# The ledger stands where nothing outside its network reaches it. This function asks it in the name of whoever validates: is
# the schema up to date, did the marked payment arrive, take it back again. It can touch the reserved account of such payments
# and no other.
module "check_ledger" {
  source = "./modules/function"

  platform        = local.platform
  bus_name        = local.bus.name
  name            = "check_ledger"
  description     = "Tells those who validate a deployment how the ledger is, and takes their marked payments back."
  timeout_seconds = 50
  environment     = module.ledger.access.environment
  statements      = module.ledger.access.statements
  vpc             = module.ledger.access.vpc
}

locals {
  # A schedule has the name of its function.
  scheduled_functions = merge(
    { for name in ["expire_holds", "relay_outbox", "watch_sequences"] : name => module.posting.functions[name] },
    { anchor_ledger = module.anchors.function, produce_cards = module.api.functions.produce_cards },
  )

  # A network that is there already has its own ways to AWS's services, and its own records.
  expected_network = {
    vpc_id    = local.network.vpc_id
    endpoints = var.network.create && var.target.endpoints_run ? keys(try(module.network[0].endpoints, {})) : []
    flow_logs = var.network.create && var.target.endpoints_run
  }

  # What takes events from which queue. The rules engine's queue is read by a Pipe.
  consumers = { for queue, function in {
    deduplicate       = module.intake.function
    standardise       = module.standardise.function
    enrich            = module.enrich.function
    sequence-postings = module.sequence_postings.function
    posting           = module.posting.functions.post
    record-outcome    = module.record_outcome.function
  } : queue => function.name if local.queues[queue].arn != null }
}

output "expectations" {
  description = "What must be found in a deployed graph, besides what the other outputs name; `postrail validate` looks for it."
  value = {
    account_id          = local.place.account_id
    target              = var.target
    deletion_protection = var.deletion_protection
    max_receive_count   = var.max_receive_count
    log_retention_days  = var.log_retention_days
    archive             = module.event_bus.name
    # How long full batches are waited for on the whole road: so much later may the last trace of a payment come.
    windows_seconds = sum(values(local.windows_seconds))
    consumers       = local.consumers
    schedules       = { for function in values(local.scheduled_functions) : function.name => function.arn }
    keys            = module.security.key_arns
    trail           = one(module.audit[*].trail_arn)
    network         = local.expected_network
    dashboards      = values(module.observability.dashboards)
    alarms = sort(concat(
      keys(module.observability.alarms),
      keys(merge(concat([module.anchors.alarms, module.batch.alarms, module.switch.alarms], module.audit[*].alarms)...)),
      compact([module.observability.payments_at_risk]),
    ))

    rules = merge(
      module.batch.subscriptions,
      module.intake.subscriptions,
      module.notifications.subscriptions,
      module.posting.subscriptions,
      {
        (module.standardise.rule_name)       = module.standardise.subscription
        (module.enrich.rule_name)            = module.enrich.subscription
        (module.rules_engine.rule_name)      = module.rules_engine.subscription
        (module.sequence_postings.rule_name) = module.sequence_postings.subscription
        (module.record_outcome.rule_name)    = module.record_outcome.subscription
      },
    )

    buckets = merge(
      {
        anchors = { name = module.anchors.bucket, lock_mode = var.anchors.lock_mode, lock_days = var.anchors.lock_days }
        batch   = { name = module.batch.batch.bucket, lock_mode = null, lock_days = null }
        parked  = { name = module.intake.parked_bucket, lock_mode = var.parked_lock.mode, lock_days = var.parked_lock.days }
      },
      { for audit in module.audit : "audit" => { name = audit.bucket, lock_mode = var.audit.lock_mode, lock_days = var.audit.lock_days } },
    )
  }
}
