locals {
  # An emulator has one host for everything and cannot put an API's id before it: the id goes into the path.
  urls = { for name, api in aws_apigatewayv2_api.this : name => (
    var.platform.emulator
    ? replace(api.api_endpoint, "/^(https?)://([^.]+)[.]execute-api[.](.+)$/", "$1://$3/_aws/execute-api/$2/$$default")
    : api.api_endpoint
  ) }
}

output "api" {
  description = "Where the APIs answer, and whose tokens they take."
  value = merge(
    { for name, url in local.urls : "${name}_url" => url },
    { for name, api in aws_apigatewayv2_api.this : "${name}_id" => api.id },
    {
      routes         = sort(keys(aws_apigatewayv2_route.this))
      token_issuer   = var.token.issuer
      token_audience = var.token.audience
      # False: nobody checks tokens before the functions do.
      jwt_authorizer = var.jwt_authorizer
    },
  )
}

output "functions" {
  description = "The functions, by their folder under lambdas/."
  value = {
    produce_cards     = module.produce_cards.function
    serve_bank_api    = { name = module.serve_bank_api.name, arn = module.serve_bank_api.arn }
    serve_network_api = { name = module.serve_network_api.name, arn = module.serve_network_api.arn }
  }
}
