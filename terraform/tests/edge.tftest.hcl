mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform            = { name_prefix = "postrail-test", partition = "aws", account_id = "111122223333", log_retention_days = 30 }
  apis                = { bank = "https://a1.execute-api.eu-west-2.amazonaws.com", network = "https://b2.execute-api.eu-west-2.amazonaws.com" }
  settings            = { requests_per_5_minutes = 20000, body_bytes_max = 16384, domains = { bank = { name = "bank.example.com", certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/1" } } }
  deletion_protection = true
}

run "tls_on_both_sides_and_nothing_is_kept" {
  module {
    source = "./modules/edge"
  }

  assert {
    condition = alltrue([for distribution in values(aws_cloudfront_distribution.this) : (
      distribution.default_cache_behavior[0].viewer_protocol_policy == "https-only"
      && alltrue([for origin in distribution.origin : origin.custom_origin_config[0].origin_protocol_policy == "https-only" && origin.custom_origin_config[0].origin_ssl_protocols == toset(["TLSv1.2"])])
    )])
    error_message = "No clear text, before the edge or behind it."
  }

  assert {
    condition     = alltrue([for distribution in values(aws_cloudfront_distribution.this) : distribution.default_cache_behavior[0].cache_policy_id == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"])
    error_message = "AWS's policy that caches nothing: an answer belongs to whoever asked."
  }

  assert {
    condition     = aws_cloudfront_distribution.this["bank"].viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021" && output.addresses.bank == "https://bank.example.com"
    error_message = "A name of one's own comes with TLS 1.2 at least."
  }

  assert {
    condition     = output.addresses.network == "https://d111111abcdef8.cloudfront.net"
    error_message = "Without a name of its own an API is found at CloudFront's."
  }
}

run "a_firewall_looks_at_each_request" {
  module {
    source = "./modules/edge"
  }

  assert {
    condition     = alltrue([for distribution in values(aws_cloudfront_distribution.this) : distribution.web_acl_id == aws_wafv2_web_acl.this.arn]) && aws_wafv2_web_acl.this.scope == "CLOUDFRONT"
    error_message = "Both APIs are behind it."
  }

  assert {
    condition     = toset([for rule in aws_wafv2_web_acl.this.rule : rule.name]) == toset(["AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesAnonymousIpList", "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet", "BodyTooLarge", "TooManyRequests"])
    error_message = "Bad and hidden addresses, common attacks, known bad inputs, too much of it, too large."
  }

  assert {
    condition     = alltrue([for rule in aws_wafv2_web_acl.this.rule : !rule.visibility_config[0].sampled_requests_enabled])
    error_message = "Samples of requests would show tokens."
  }

  assert {
    condition     = toset([for field in aws_wafv2_web_acl_logging_configuration.this.redacted_fields : field.single_header[0].name]) == toset(["authorization", "cookie", "x-postrail-edge"])
    error_message = "Its log shows neither token nor key."
  }
}

run "logs_are_encrypted_and_hold_no_paths" {
  module {
    source = "./modules/edge"
  }

  assert {
    condition     = aws_cloudwatch_log_group.firewall.kms_key_id == aws_kms_key.logs.arn && aws_cloudwatch_log_group.requests.kms_key_id == aws_kms_key.logs.arn
    error_message = "With a key of their own region."
  }

  assert {
    condition     = alltrue([for delivery in values(aws_cloudwatch_log_delivery.requests) : length(setintersection(delivery.record_fields, ["cs-uri-stem", "cs-uri-query", "cs(Cookie)", "cs(Referer)"])) == 0])
    error_message = "Paths and queries hold accounts."
  }
}

run "the_key_is_in_no_plan_and_no_state" {
  module {
    source = "./modules/edge"
  }

  assert {
    condition     = strcontains(aws_cloudfront_function.show_key.code, "cf.kvs().get('edge-key')") && strcontains(aws_cloudfront_function.show_key.code, "delete request.headers[HEADER]")
    error_message = "The code reads it from the store, and drops what a caller sends in its place."
  }
}

run "a_function_reads_the_key_and_no_more" {
  variables {
    platform     = { name_prefix = "postrail-test", region = "eu-west-2" }
    edge_key_arn = "arn:aws:kms:eu-west-2:111122223333:key/edge"
  }

  module {
    source = "./modules/edge_key"
  }

  assert {
    condition     = aws_secretsmanager_secret.this.kms_key_id == var.edge_key_arn && aws_secretsmanager_secret.this.recovery_window_in_days == 30
    error_message = "A secret without a value, for whoever makes the key."
  }

  assert {
    condition     = flatten([for statement in output.access.statements : statement.actions]) == ["secretsmanager:GetSecretValue", "kms:Decrypt"] && output.access.statements[0].resources == [output.secret_arn]
    error_message = "Of this secret."
  }
}

run "an_api_without_tls_is_refused" {
  command = plan

  variables {
    apis = { bank = "http://127.0.0.1:4566/_aws/execute-api/a1/$default" }
  }

  module {
    source = "./modules/edge"
  }

  expect_failures = [var.apis]
}
