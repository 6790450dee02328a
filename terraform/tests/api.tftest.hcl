mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform = {
    name_prefix        = "postrail-test"
    account_id         = "111122223333"
    region             = "eu-west-2"
    emulator           = false
    events_key_arn     = "arn:aws:kms:eu-west-2:111122223333:key/events"
    zip_dir            = "../build"
    architecture       = "arm64"
    layer_arns         = []
    tracing            = false
    log_level          = "INFO"
    log_retention_days = 30
    logs_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/logs"
    functions_key_arn  = "arn:aws:kms:eu-west-2:111122223333:key/functions"
  }

  bus_name = "postrail-test-payments"

  routes = [
    { api = "bank", method = "POST", path = "/create-account", scope = "account:open" },
    { api = "bank", method = "GET", path = "/get-balance", scope = "account:read" },
    { api = "network", method = "POST", path = "/create-card", scope = "network:issue" },
  ]

  token          = { issuer = "https://tokens.example.com", audience = "postrail", keys = "https://tokens.example.com/jwks.json" }
  jwt_authorizer = true
  throttling     = { requests_per_second = 100, burst = 200 }
  memory_mb      = 1024

  ledger = {
    statements = [{
      sid       = "ReadLedgerSecret"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = ["arn:aws:secretsmanager:eu-west-2:111122223333:secret:ledger-AbCdEf"]
      condition = {}
    }]
    environment = { POSTRAIL_LEDGER_SECRET_ARN = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:ledger-AbCdEf" }
    vpc         = { subnet_ids = [], security_group_ids = [] }
  }

  keep_cards = {
    statements  = [{ sid = "KeepCards", actions = ["dynamodb:GetItem", "dynamodb:PutItem"], resources = ["arn:aws:dynamodb:eu-west-2:111122223333:table/card-vault"], condition = {} }]
    environment = { POSTRAIL_CARD_VAULT_TABLE = "card-vault" }
  }

  reference_table = { name = "reference", arn = "arn:aws:dynamodb:eu-west-2:111122223333:table/reference" }

  tables_key_statement = {
    sid       = "UseTablesKey"
    actions   = ["kms:Decrypt"]
    resources = ["arn:aws:kms:eu-west-2:111122223333:key/tables"]
    condition = { StringEquals = { "kms:ViaService" = "dynamodb.eu-west-2.amazonaws.com" } }
  }

  notifications_topic_arn = "arn:aws:sns:eu-west-2:111122223333:postrail-test-notifications"
  logs_key_arn            = "arn:aws:kms:eu-west-2:111122223333:key/logs"
}

run "every_route_wants_a_token_with_its_scope" {
  module {
    source = "./modules/api"
  }

  assert {
    condition     = keys(aws_apigatewayv2_route.this) == ["bank GET /get-balance", "bank POST /create-account", "network POST /create-card"]
    error_message = "The routes of the list and no others: no default route catches the rest."
  }

  assert {
    condition     = alltrue([for key, route in aws_apigatewayv2_route.this : route.authorization_type == "JWT" && length(route.authorization_scopes) > 0])
    error_message = "Without token nobody comes through."
  }

  assert {
    condition     = aws_apigatewayv2_route.this["bank GET /get-balance"].authorization_scopes == toset(["account:read"])
    error_message = "The scope of the route."
  }

  assert {
    condition     = alltrue([for authorizer in values(aws_apigatewayv2_authorizer.token) : authorizer.jwt_configuration[0].issuer == "https://tokens.example.com" && authorizer.jwt_configuration[0].audience == toset(["postrail"])])
    error_message = "Tokens of this issuer, made out for us."
  }
}

run "apis_are_throttled_and_what_is_asked_is_recorded_without_contents" {
  module {
    source = "./modules/api"
  }

  assert {
    condition     = alltrue([for stage in values(aws_apigatewayv2_stage.default) : stage.default_route_settings[0].throttling_rate_limit == 100 && stage.default_route_settings[0].throttling_burst_limit == 200])
    error_message = "No caller can take all of it."
  }

  assert {
    condition = alltrue([for stage in values(aws_apigatewayv2_stage.default) : toset(regexall("[$][A-Za-z.]+", stage.access_log_settings[0].format)) == toset([
      "$context.authorizer.claims.sub", "$context.authorizer.error", "$context.identity.sourceIp", "$context.integrationErrorMessage",
      "$context.requestId", "$context.requestTime", "$context.responseLatency", "$context.routeKey", "$context.status",
    ])])
    error_message = "Headers, query and body hold tokens, accounts and card numbers."
  }

  assert {
    condition     = alltrue([for group in values(aws_cloudwatch_log_group.access) : group.kms_key_id == var.logs_key_arn && group.retention_in_days == 30])
    error_message = "Access logs are encrypted, and end."
  }

  assert {
    condition     = alltrue([for permission in values(aws_lambda_permission.api) : permission.principal == "apigateway.amazonaws.com" && permission.source_arn == "arn:aws:execute-api:eu-west-2:111122223333:a1b2c3d4e5/$default/*/*"])
    error_message = "Only its own API calls a function."
  }
}

run "functions_have_the_rights_of_their_work" {
  module {
    source = "./modules/api"
  }

  assert {
    condition     = keys(module.serve_network_api.rights) == ["ReadLedgerSecret", "ReadOwnSettings", "WriteLogs"]
    error_message = "The network's API knows tokens alone."
  }

  assert {
    condition     = keys(module.serve_bank_api.rights) == ["KeepCards", "ReadLedgerSecret", "ReadOwnSettings", "TellPipelineOfCards", "UseTablesKey", "WriteLogs"]
    error_message = "The bank's API keeps card numbers and tells the pipeline of cards."
  }

  assert {
    condition     = setsubtract(keys(module.produce_cards.rights), keys(module.serve_bank_api.rights)) == toset(["NotifyCustomers", "UseTopicKey"]) && module.produce_cards.rights.NotifyCustomers == tolist(["sns:Publish"])
    error_message = "Only production tells customers."
  }
}

run "a_guarded_api_asks_for_the_key_of_the_edge" {
  variables {
    edge_key = {
      environment = { POSTRAIL_EDGE_SECRET_ARN = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:edge" }
      statements  = [{ sid = "ReadEdgeKey", actions = ["secretsmanager:GetSecretValue"], resources = ["arn:aws:secretsmanager:eu-west-2:111122223333:secret:edge"], condition = {} }]
    }
  }

  module {
    source = "./modules/api"
  }

  assert {
    condition     = contains(keys(module.serve_bank_api.rights), "ReadEdgeKey") && contains(keys(module.serve_network_api.rights), "ReadEdgeKey") && !contains(keys(module.produce_cards.rights), "ReadEdgeKey")
    error_message = "Both APIs read it; the schedule, which nobody calls, does not."
  }
}

run "who_checks_tokens_gets_the_way_to_their_issuer" {
  variables {
    internet_group_ids = ["sg-internet"]
    ledger = {
      statements  = []
      environment = {}
      vpc         = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-functions"] }
    }
  }

  module {
    source = "./modules/api"
  }

  assert {
    condition     = local.vpc.security_group_ids == tolist(["sg-functions", "sg-internet"]) && local.vpc.subnet_ids == tolist(["subnet-1", "subnet-2"])
    error_message = "Besides the way to the ledger."
  }
}

run "an_api_answers_before_its_gateway_gives_up" {
  module {
    source = "./modules/api"
  }

  assert {
    condition     = alltrue([for integration in values(aws_apigatewayv2_integration.function) : integration.timeout_milliseconds == 29000 && integration.payload_format_version == "2.0"])
    error_message = "28 seconds for the function, a second more for the way."
  }

  assert {
    condition     = output.api.bank_url == "https://a1b2c3d4e5.execute-api.eu-west-2.amazonaws.com" && output.api.network_url == output.api.bank_url
    error_message = "An account has a host for each API."
  }

  assert {
    condition     = keys(output.functions) == ["produce_cards", "serve_bank_api", "serve_network_api"]
    error_message = "Two that answer, one that produces."
  }
}

run "without_an_authorizer_the_functions_check_alone" {
  variables {
    jwt_authorizer = false
    token          = { issuer = "", audience = "postrail", keys = "" }
    platform = {
      name_prefix        = "postrail-test"
      account_id         = "111122223333"
      region             = "eu-west-2"
      emulator           = true
      events_key_arn     = "arn:aws:kms:eu-west-2:111122223333:key/events"
      zip_dir            = "../build"
      architecture       = "arm64"
      layer_arns         = []
      tracing            = false
      log_level          = "INFO"
      log_retention_days = 30
      logs_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/logs"
      functions_key_arn  = "arn:aws:kms:eu-west-2:111122223333:key/functions"
    }
  }

  module {
    source = "./modules/api"
  }

  assert {
    condition     = length(aws_apigatewayv2_authorizer.token) == 0 && alltrue([for route in values(aws_apigatewayv2_route.this) : route.authorization_type == "NONE"])
    error_message = "No authorizer where the target has none."
  }

  assert {
    condition     = output.api.bank_url == "https://eu-west-2.amazonaws.com/_aws/execute-api/a1b2c3d4e5/$default"
    error_message = "An emulator has one host: the id goes into the path."
  }
}

run "without_an_issuer_no_api_is_made" {
  command = plan

  variables {
    token = { issuer = "", audience = "postrail", keys = "" }
  }

  module {
    source = "./modules/api"
  }

  expect_failures = [aws_apigatewayv2_authorizer.token]
}

run "a_route_without_scope_is_refused" {
  command = plan

  variables {
    routes = [{ api = "bank", method = "GET", path = "/get-balance", scope = "" }]
  }

  module {
    source = "./modules/api"
  }

  expect_failures = [var.routes]
}
