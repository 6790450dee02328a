variable "platform" {
  description = "Where this copy of Postrail lives, and what all its functions share."
  type = object({
    name_prefix        = string
    account_id         = string
    region             = string
    emulator           = bool
    events_key_arn     = string
    zip_dir            = string
    architecture       = string
    layer_arns         = list(string)
    tracing            = bool
    log_level          = string
    log_retention_days = number
    logs_key_arn       = string
    functions_key_arn  = string
  })
}

variable "bus_name" {
  description = "Name of the bus; every function is told."
  type        = string
}

variable "routes" {
  description = "Every route: api is bank or network; scope is what a token must carry."
  type = list(object({
    api    = string
    method = string
    path   = string
    scope  = string
  }))

  validation {
    condition     = alltrue([for route in var.routes : contains(["bank", "network"], route.api) && route.scope != ""])
    error_message = "A route belongs to bank or network, and no route is open to everybody."
  }
}

variable "token" {
  description = "Whose access tokens are accepted: claim iss, claim aud, and the public keys (a JWKS document, or its https address)."
  type        = object({ issuer = string, audience = string, keys = string })
}

variable "jwt_authorizer" {
  description = "API Gateway checks tokens before it calls a function. Where it cannot, the function's own check stands alone."
  type        = bool
}

variable "internet_group_ids" {
  description = "Security groups that open the way to the issuer's https address, for the functions that check tokens; none: no way."
  type        = list(string)
  default     = []
}

variable "throttling" {
  description = "Requests that each API takes, of all callers together."
  type        = object({ requests_per_second = number, burst = number })
}

variable "memory_mb" {
  description = "Memory of the functions behind the APIs, in MB."
  type        = number
}

variable "ledger" {
  description = "What a function needs to use the ledger: rights, settings and network."
  type = object({
    statements = list(object({
      sid       = string
      actions   = list(string)
      resources = list(string)
      condition = map(map(string))
    }))
    environment = map(string)
    vpc         = object({ subnet_ids = list(string), security_group_ids = list(string) })
  })
}

variable "keep_cards" {
  description = "What a function needs to keep card numbers: rights and settings."
  type = object({
    statements = list(object({
      sid       = string
      actions   = list(string)
      resources = list(string)
      condition = map(map(string))
    }))
    environment = map(string)
  })
}

variable "reference_table" {
  description = "Where the pipeline finds the account of a card."
  type        = object({ name = string, arn = string })
}

variable "tables_key_statement" {
  description = "The right to use the tables' key through DynamoDB."
  type = object({
    sid       = string
    actions   = list(string)
    resources = list(string)
    condition = map(map(string))
  })
}

variable "notifications_topic_arn" {
  description = "Topic of the messages that leave for card holders."
  type        = string
}

variable "logs_key_arn" {
  description = "Key that encrypts access logs."
  type        = string
}

variable "edge_key" {
  description = "What the functions need to check that a request came by the edge, settings and rights; null: they do not ask."
  type = object({
    environment = map(string)
    statements = list(object({
      sid       = string
      actions   = list(string)
      resources = list(string)
      condition = map(map(string))
    }))
  })
  default = null
}
