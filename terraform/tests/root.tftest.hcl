mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks"
}

variables {
  name_prefix     = "postrail-test"
  ledger          = { host = "ledger.test", username = "postrail" }
  network         = { database_cidrs = ["10.128.0.0/24"] }
  ledger_password = "not-a-real-one"
  token_issuer    = "https://tokens.example.com"
  token_keys      = "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"one\",\"use\":\"sig\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"x5c\":[\"certificate\"],\"d\":\"private\"}]}"
}

run "real_account_has_everything" {
  assert {
    condition     = alltrue([for pipe in values(output.pipes) : pipe.managed]) && keys(output.pipes) == ["intake", "rules"]
    error_message = "Both pipes run as pipes."
  }

  assert {
    condition     = length(aws_lambda_layer_version.dependencies) == 1
    error_message = "Functions get their packages from a layer."
  }

  assert {
    condition = keys(output.functions) == [
      "anchor_ledger", "apply_rules", "check_ledger", "deduplicate", "enrich", "expire_holds", "migrate_ledger", "post", "produce_cards", "record_outcome",
      "relay_outbox", "sequence_postings", "serve_bank_api", "serve_network_api", "standardise", "watch_sequences",
    ]
    error_message = "A function for each folder under lambdas/."
  }

  assert {
    condition     = keys(output.queues) == ["apply-rules", "deduplicate", "enrich", "posting", "record-outcome", "sequence-postings", "standardise"]
    error_message = "A queue for each stage."
  }

  assert {
    condition     = alltrue([for name in ["batch", "intake-pipe", "rules-undelivered"] : contains(keys(output.dead_letter_queues), name)]) && length(output.dead_letter_queues) == 10
    error_message = "Every place where an event can end is named."
  }

  assert {
    condition     = alltrue([for name in keys(output.dead_letter_queues) : contains(keys(module.observability.alarms), "postrail-test-dead-letters-${name}")])
    error_message = "No letter lies anywhere without an alarm."
  }

  assert {
    condition     = toset([for name, alarm in module.observability.alarms : name if endswith(alarm.alarm, "-errors") && alarm.alarm != "api-errors"]) == toset([for name in keys(output.functions) : "postrail-test-${contains(local.road_functions, name) ? "stage" : "function"}-errors-${replace(name, "_", "-")}"])
    error_message = "Each function is watched, as one that payments pass or as another."
  }

  assert {
    condition     = keys(output.tables) == ["authorizations", "dedup", "reference", "velocity"] && output.tables.authorizations.stream_arn != null
    error_message = "Four tables, one with a stream."
  }

  assert {
    condition     = output.batch.managed && length(output.batch.subnet_ids) == 3 && output.batch.subnet_ids == output.network.subnet_ids && output.batch.security_group_ids == output.network.security_group_ids.tasks && output.batch.environment.POSTRAIL_LEDGER_SECRET_ARN == output.ledger_secret_arn && output.batch.environment.POSTRAIL_REFERENCE_TABLE == output.tables.reference.name
    error_message = "Batch tasks run, in the network of the ledger, on the same ledger and reference data."
  }
}

run "every_party_of_the_ecosystem_is_a_service_once_it_may_run" {
  variables {
    switch = { run = true }
  }

  assert {
    condition     = output.switch.managed && toset(keys(output.switch.parties)) == toset(concat([for party in yamldecode(file("../config/ecosystem.yaml")).networks : party.id], [for party in yamldecode(file("../config/ecosystem.yaml")).banks : party.id]))
    error_message = "Networks and banks of config/ecosystem.yaml."
  }

  assert {
    condition     = alltrue([for party in values(output.switch.parties) : party.environment.POSTRAIL_LEDGER_SECRET_ARN == output.ledger_secret_arn && party.environment.POSTRAIL_CARD_VAULT_TABLE == output.card_vault.table])
    error_message = "All work with the same ledger and the same cards."
  }
}

run "nothing_of_the_switch_runs_before_it_is_said" {
  assert {
    condition     = !output.switch.managed && alltrue([for party in values(output.switch.parties) : party.host == null]) && output.switch.repository_url != ""
    error_message = "The repository must be there before an image can be, and an image before a service."
  }
}

run "every_route_of_the_apis_wants_a_token" {
  assert {
    condition     = output.api.jwt_authorizer && output.api.token_issuer == "https://tokens.example.com"
    error_message = "Checked by API Gateway, against the given issuer."
  }

  assert {
    condition     = jsondecode(local.token_keys) == { keys = [{ e = "AQAB", kid = "one", kty = "RSA", n = "AQAB", use = "sig" }] }
    error_message = "Of the issuer's keys the functions get what checks a signature: no certificates, for which they have no room, and no private part."
  }

  assert {
    condition     = toset(output.api.routes) == toset([for route in jsondecode(file("../schemas/api-routes.json")) : "${route.api} ${route.method} ${route.path}"])
    error_message = "The routes that the functions serve, and no others."
  }
}

run "anchors_are_locked_for_a_year" {
  assert {
    condition     = output.ledger_anchors == "s3://postrail-test-ledger-anchors-111122223333/ledger"
    error_message = "Anchors have their own bucket."
  }

  assert {
    condition     = var.anchors == { schedule = "rate(1 hour)", lock_mode = "GOVERNANCE", lock_days = 365, alarm_hours = 3 } && var.expire_holds_schedule == "rate(1 minute)"
    error_message = "An anchor an hour, kept a year, in the mode that can be undone until somebody decides otherwise."
  }
}

run "a_lock_that_s3_does_not_know_is_refused" {
  command = plan

  variables {
    anchors = { lock_mode = "LEGAL", lock_days = 1.5, alarm_hours = 1 }
  }

  expect_failures = [var.anchors]
}

run "stages_choose_their_delivery" {
  variables {
    stages = {
      standardise = { delivery = "realtime" }
      apply_rules = { delivery = "realtime" }
      post        = { delivery = "batch" }
    }
  }

  assert {
    condition     = output.queues.standardise.url == null && output.queues["apply-rules"].url == null && output.queues.enrich.url != null && output.queues.posting.url != null
    error_message = "Only stages in real time are without a queue."
  }

  assert {
    condition     = keys(output.pipes) == ["intake"]
    error_message = "Without queue no pipe into the rules engine."
  }
}

run "an_emulator_gets_no_pipes_and_no_layer" {
  variables {
    target = { emulator = true, pipes_run = false, tracing = false, dependencies_layer = false, tasks_run = false, alarms_run = false, jwt_authorizer = false, audit_trail = false, edge = false, endpoints_run = false }
    switch = { run = true }
  }

  assert {
    condition     = !output.switch.managed && !output.api.jwt_authorizer
    error_message = "No service where no task runs, and no authorizer where there is none."
  }

  assert {
    condition     = !output.pipes.intake.managed && !output.pipes.rules.managed && length(aws_lambda_layer_version.dependencies) == 0
    error_message = "What the target lacks is not created, but the pipes are still described."
  }

  assert {
    condition     = !output.batch.managed && output.batch.queue_url != null
    error_message = "Commands for batch files wait in a queue."
  }
}

run "postings_are_never_unqueued" {
  command = plan

  variables {
    stages = { post = { delivery = "realtime" } }
  }

  expect_failures = [var.stages]
}

run "a_stage_that_does_not_exist_is_refused" {
  command = plan

  variables {
    stages = { standardize = { delivery = "realtime" } }
  }

  expect_failures = [var.stages]
}

run "name_prefix_fits_every_service" {
  command = plan

  variables {
    name_prefix = "Postrail_Test"
  }

  expect_failures = [var.name_prefix]
}
