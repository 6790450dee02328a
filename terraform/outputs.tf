# The command line, the pipe runner and the tests find the graph through these. Names and shapes are an interface.

output "name_prefix" {
  description = "Starts the name of every resource."
  value       = var.name_prefix
}

output "region" {
  description = "AWS region."
  value       = var.region
}

output "bus_name" {
  description = "Name of the bus `payments`."
  value       = module.event_bus.name
}

output "bus_arn" {
  description = "ARN of the bus `payments`."
  value       = module.event_bus.arn
}

output "tables" {
  description = "Tables by name: authorizations, dedup, reference, velocity."
  value = merge(module.intake.tables, {
    reference = { name = module.reference.name, arn = module.reference.arn, stream_arn = null }
    velocity  = module.rules_engine.velocity
  })
}

output "parked_bucket" {
  description = "Name of the bucket of parked events."
  value       = module.intake.parked_bucket
}

output "queues" {
  description = "Queues by name, each with its dead-letter queue; name, url and arn are null with delivery realtime."
  value       = local.queues
}

output "dead_letter_queues" {
  description = "Every queue in which an event can end for people to look at."
  value       = local.dead_letter_queues
}

output "functions" {
  description = "Functions by their folder under lambdas/."
  value       = local.functions
}

output "batch" {
  description = "The batch inbox and its task. `managed` false: no task runs, and the queue carries commands to a runner."
  value       = module.batch.batch
}

output "switch" {
  description = "Networks and banks: where they listen, and what their tasks are made of. `managed` false: no service runs."
  value       = module.switch.switch
}

output "api" {
  description = "Where the APIs of bank and network answer."
  value       = module.api.api
}

output "edge" {
  description = "Where callers find the APIs, what own names must point to, and where the edge's key belongs; null without an edge."
  value = one([for edge in module.edge : {
    addresses = edge.addresses
    aliases   = edge.aliases
    guarded   = var.edge.guarded
    key       = { secret_arn = one(module.edge_key[*].secret_arn), store_arn = edge.key_store_arn }
  }])
}

output "card_vault" {
  description = "The table of card numbers, and its key."
  value       = module.card_vault.vault
}

output "state_machine_arn" {
  description = "ARN of the rules engine."
  value       = module.rules_engine.state_machine_arn
}

output "ledger_secret_arn" {
  description = "ARN of the secret that leads to the ledger: an existing database's, else the proxy's."
  value       = module.ledger.secret_arn
}

output "ledger_anchors" {
  description = "Where anchors of the ledger lie, as `postrail ledger verify --anchor` takes it."
  value       = module.anchors.uri
}

output "topics" {
  description = "Topic ARNs by name: alerts, notifications."
  value       = module.notifications.topics
}

output "pipes" {
  description = "Pipes as DescribePipe shows them. `managed` false: no pipe runs, a runner has to play it."
  value       = merge(module.intake.pipes, module.rules_engine.pipes)
}

output "observability" {
  description = "Dashboards, the namespace of own metrics, the alarm over all that put payments at risk, and what config/figures.yaml names by kind:name."
  value = {
    namespace        = module.observability.namespace
    dashboards       = module.observability.dashboards
    payments_at_risk = module.observability.payments_at_risk
    names            = local.observed_names
  }
}

locals {
  queues = {
    deduplicate       = module.intake.queue
    standardise       = module.standardise.queue
    enrich            = module.enrich.queue
    apply-rules       = module.rules_engine.queue
    sequence-postings = module.sequence_postings.queue
    posting           = module.posting.queue
    record-outcome    = module.record_outcome.queue
  }

  dead_letter_queues = merge(
    { for name, queue in local.queues : name => { name = queue.dlq_name, url = queue.dlq_url, arn = queue.dlq_arn } },
    {
      batch             = module.batch.dead_letter_queue
      intake-pipe       = module.intake.pipe_dead_letter_queue
      rules-undelivered = module.event_bus.undelivered
    },
  )

  functions = merge(module.posting.functions, module.api.functions, module.ledger.functions, {
    deduplicate       = module.intake.function
    standardise       = module.standardise.function
    enrich            = module.enrich.function
    apply_rules       = module.rules_engine.function
    sequence_postings = module.sequence_postings.function
    record_outcome    = module.record_outcome.function
    anchor_ledger     = module.anchors.function
    check_ledger      = { name = module.check_ledger.name, arn = module.check_ledger.arn }
  })
}
