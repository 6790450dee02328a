# The whole graph, made of mocks, for the tests in Python (tests/builders/planned_graph.py reads what Terraform shows of
# each run with -verbose): which events reach whom, what each role may do, the state machine. So they check what is deployed
# and no copy of it.

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
  token_keys      = "{\"keys\":[]}"
  switch          = { run = true }
}

run "near_realtime" {
  assert {
    condition     = keys(output.pipes) == ["intake", "rules"]
    error_message = "By default every stage has a queue."
  }
}

run "realtime" {
  variables {
    stages = { for name in ["deduplicate", "standardise", "enrich", "apply_rules", "sequence_postings", "record_outcome"] : name => { delivery = "realtime" } }
  }

  assert {
    condition     = [for name, queue in output.queues : name if queue.url != null] == ["posting"]
    error_message = "Every stage but the posting engine can do without a queue."
  }
}

run "emulator" {
  variables {
    target  = { emulator = true, pipes_run = false, tracing = false, dependencies_layer = false, tasks_run = false, alarms_run = false, jwt_authorizer = false, endpoints_run = false }
    network = { create = false }
  }

  assert {
    condition     = !output.pipes.intake.managed && !output.pipes.rules.managed
    error_message = "What an emulator lacks is played beside it."
  }
}
