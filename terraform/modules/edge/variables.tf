variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix        = string
    partition          = string
    account_id         = string
    log_retention_days = number
  })
}

variable "apis" {
  description = "The APIs behind the edge, by name: their https addresses."
  type        = map(string)

  validation {
    condition     = alltrue([for url in values(var.apis) : can(regex("^https://[^/]+$", url))])
    error_message = "An API is behind https, at a host of its own."
  }
}

variable "settings" {
  description = "What the edge lets through, and under which names. See `edge` of the root module."
  type = object({
    requests_per_5_minutes = number
    body_bytes_max         = number
    domains                = map(object({ name = string, certificate_arn = string }))
  })
}

variable "deletion_protection" {
  description = "Keys wait 30 days before they are gone; otherwise 7, the least KMS allows."
  type        = bool
}
