# The HTTP APIs of the bank and of the card network: one API each, one function each, and a route for every line of
# schemas/api-routes.json. What no route names is answered 404 before any code runs.
#
# Tokens are checked twice: by API Gateway, so that strangers cost nothing, and by the function itself, which also checks whose
# account is asked for. Where the target has no authorizer, the function's check stands alone.

locals {
  apis = {
    bank    = { function = module.serve_bank_api, title = "accounts, balances and cards" }
    network = { function = module.serve_network_api, title = "the network's customers and cards" }
  }

  routes = { for route in var.routes : "${route.api} ${route.method} ${route.path}" => route }
}

resource "aws_apigatewayv2_api" "this" {
  for_each = local.apis

  name          = "${var.platform.name_prefix}-${each.key}"
  description   = "Postrail: ${each.value.title}."
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_authorizer" "token" {
  for_each = var.jwt_authorizer ? local.apis : {}

  api_id           = aws_apigatewayv2_api.this[each.key].id
  name             = "token"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.token.issuer
    audience = [var.token.audience]
  }

  lifecycle {
    precondition {
      condition     = startswith(var.token.issuer, "https://")
      error_message = "Every route wants a token: set `token_issuer` to who signs them, an https address below which API Gateway finds .well-known/openid-configuration."
    }
  }
}

resource "aws_apigatewayv2_integration" "function" {
  for_each = local.apis

  api_id                 = aws_apigatewayv2_api.this[each.key].id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = each.value.function.arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 29000
}

resource "aws_apigatewayv2_route" "this" {
  #checkov:skip=CKV_AWS_309:JWT, but for a target without authorizers, where the functions check the same tokens alone

  for_each = local.routes

  api_id    = aws_apigatewayv2_api.this[each.value.api].id
  route_key = "${each.value.method} ${each.value.path}"
  target    = "integrations/${aws_apigatewayv2_integration.function[each.value.api].id}"

  authorization_type   = var.jwt_authorizer ? "JWT" : "NONE"
  authorizer_id        = var.jwt_authorizer ? aws_apigatewayv2_authorizer.token[each.value.api].id : null
  authorization_scopes = var.jwt_authorizer ? [each.value.scope] : null
}

resource "aws_cloudwatch_log_group" "access" {
  for_each = local.apis

  name              = "/aws/vendedlogs/${var.platform.name_prefix}-${each.key}-api"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.logs_key_arn
}

resource "aws_apigatewayv2_stage" "default" {
  for_each = local.apis

  api_id      = aws_apigatewayv2_api.this[each.key].id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit    = var.throttling.requests_per_second
    throttling_burst_limit   = var.throttling.burst
    detailed_metrics_enabled = true
  }

  # Who asked which route, and how it ended. No headers, no query and no body: they hold tokens and accounts.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access[each.key].arn
    format = jsonencode({
      at                = "$context.requestTime"
      request_id        = "$context.requestId"
      source_ip         = "$context.identity.sourceIp"
      subject           = "$context.authorizer.claims.sub"
      route             = "$context.routeKey"
      status            = "$context.status"
      latency_ms        = "$context.responseLatency"
      integration_error = "$context.integrationErrorMessage"
      authorizer_error  = "$context.authorizer.error"
    })
  }

  depends_on = [aws_apigatewayv2_route.this]
}

resource "aws_lambda_permission" "api" {
  for_each = local.apis

  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = each.value.function.name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this[each.key].execution_arn}/$default/*/*"
}
