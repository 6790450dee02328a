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
  name_prefix  = "postrail-test"
  token_issuer = "https://tokens.example.com"
  token_keys   = "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"one\",\"use\":\"sig\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}"
  switch       = { run = true }
  alert_emails = ["operations@example.com"]

  # For the runs with a database of the bank's own. The others leave it alone.
  ledger_password = "not-a-real-one"
}

# What a real account gets that says nothing else: a network, a database, a queue before every stage.
run "near_realtime" {
  assert {
    condition     = keys(output.pipes) == ["intake", "rules"]
    error_message = "By default every stage has a queue."
  }
}

# Everything the other way: stages without queues, in a network with a database of the bank's own.
run "realtime" {
  variables {
    stages  = { for name in ["deduplicate", "standardise", "enrich", "apply_rules", "sequence_postings", "record_outcome"] : name => { delivery = "realtime" } }
    ledger  = { host = "ledger.test", username = "postrail" }
    network = { database_cidrs = ["10.128.0.0/24"] }
  }

  assert {
    condition     = [for name, queue in output.queues : name if queue.url != null] == ["posting"]
    error_message = "Every stage but the posting engine can do without a queue."
  }
}
