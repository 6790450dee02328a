variable "platform" {
  description = "Where this copy of Postrail lives, and what all its functions share."
  type = object({
    name_prefix        = string
    emulator           = bool
    region             = string
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
  description = "Name of the bus that the function publishes to."
  type        = string
}

variable "database" {
  description = "See `ledger` of the root module."
  type = object({
    host     = string
    port     = number
    dbname   = string
    username = string
    migrate  = bool
  })
}

variable "vpc" {
  description = "Where functions that use the ledger get their network interfaces; none: outside any VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
}

variable "password" {
  description = "Password of the ledger's user."
  type        = string
  sensitive   = true
}

variable "ledger_key_arn" {
  description = "Key that encrypts the credentials."
  type        = string
}

variable "deletion_protection" {
  description = "The deleted secret can be restored for 30 days."
  type        = bool
}
