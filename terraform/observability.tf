# Dashboards, alarms and saved queries over everything, from config/figures.yaml.

locals {
  # Functions that a payment passes, or that bring it to its end: when one fails, payments are at risk.
  road_functions = ["deduplicate", "standardise", "enrich", "apply_rules", "sequence_postings", "post", "record_outcome", "relay_outbox", "watch_sequences"]

  # A queue whose function waits for a full batch is slow on purpose: so much is added to its alarm.
  windows_seconds = { for name, stage in local.stages : name => coalesce(stage.batching_window_seconds, stage.delivery == "batch" ? 300 : 0) }
  queue_stages    = { for name in keys(local.queues) : name => name == "posting" ? "post" : replace(name, "-", "_") }

  # What the catalogue writes as kind:name. Without a name in this copy, nothing is drawn and no alarm is raised of it.
  observed_names = {
    api           = { bank = module.api.api.bank_id, network = module.api.api.network_id }
    bucket        = { parked = module.intake.parked_bucket }
    bus           = { payments = module.event_bus.name }
    cluster       = module.ledger.names.clusters
    default_rule  = { batch-start = "${var.name_prefix}-batch-start", batch-failed = "${var.name_prefix}-batch-failed" }
    dlq           = { for name, queue in local.dead_letter_queues : name => queue.name }
    function      = { for name, function in local.functions : name => function.name }
    load_balancer = { for name, load_balancer in { switch = module.switch.load_balancer } : name => load_balancer.name if module.switch.switch.managed }
    memory_gb     = { for name, stage in local.stages : name => format("%.6f", stage.memory_mb / 1024) }
    party         = { for id in keys(module.switch.switch.parties) : id => id if module.switch.switch.managed || !var.target.tasks_run }
    pipe          = { for name, pipe in merge(module.intake.pipes, module.rules_engine.pipes) : name => pipe.Name if var.target.pipes_run }
    price         = { for price in yamldecode(file("${path.root}/../config/capacity/prices.yaml")).prices : price.id => format("%.12f", price.usd[var.region] / price.per) if can(price.usd[var.region]) }
    proxy         = module.ledger.names.proxies
    queue         = { for name, queue in local.queues : name => queue.name if local.stages[local.queue_stages[name]].delivery != "realtime" }
    road_function = { for name, function in local.functions : name => function.name if contains(local.road_functions, name) }
    running_party = { for id in keys(module.switch.switch.parties) : id => id if module.switch.switch.managed }
    rule          = { for name in concat(keys(local.queues), module.notifications.rules) : name => "${var.name_prefix}-${name}" }
    side_function = { for name, function in local.functions : name => function.name if !contains(local.road_functions, name) }
    stage         = { for name in keys(local.stages) : name => name }
    state_machine = { rules-engine = module.rules_engine.state_machine_arn }
    table = merge(
      { for name, table in module.intake.tables : name => table.name },
      { reference = module.reference.name, velocity = module.rules_engine.velocity.name },
    )
    target_group = module.switch.load_balancer.target_groups
  }
}

module "observability" {
  source = "./modules/observability"

  platform         = local.place
  catalogue        = yamldecode(file("${path.root}/../config/figures.yaml"))
  names            = local.observed_names
  thresholds       = var.alarm_thresholds
  alerts_topic_arn = module.notifications.topics.alerts
  alarms_run       = var.target.alarms_run

  allowances = {
    queue-age       = { for queue, stage in local.queue_stages : queue => local.windows_seconds[stage] }
    posting-latency = { "" = 1000 * sum([for name, seconds in local.windows_seconds : seconds if name != "record_outcome"]) }
  }

  other_alarms = merge(concat([module.anchors.alarms, module.batch.alarms, module.switch.alarms], module.audit[*].alarms)...)

  log_groups = {
    functions = [for function in values(local.functions) : "/aws/lambda/${function.name}"]
    switch    = [for party in values(module.switch.switch.parties) : party.log_group]
  }
}
