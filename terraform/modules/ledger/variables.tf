variable "platform" {
  description = "Where this copy of Postrail lives, and what all its functions share."
  type = object({
    name_prefix        = string
    partition          = string
    account_id         = string
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
  description = "Name of the bus that the functions publish to."
  type        = string
}

variable "database" {
  description = "See `ledger` of the root module."
  type = object({
    host             = optional(string)
    port             = number
    dbname           = string
    username         = optional(string)
    sslmode          = string
    password_version = number
    migrate          = bool
    engine_version   = string
    acu_min          = number
    acu_max          = number
    readers          = number
    backup_days      = number
    rotation_days    = number
  })
}

variable "password" {
  description = "Password of the user of an existing database. It reaches its secret and neither plan nor state."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null
}

variable "network" {
  description = "Where functions, proxy and database are. No subnets: functions are outside any VPC, and the database is an existing one."
  type = object({
    subnet_ids          = list(string)
    database_subnet_ids = list(string)
    database_zones      = optional(list(string), [])
    security_group_ids = object({
      functions = list(string)
      owners    = list(string)
      proxy     = list(string)
      database  = list(string)
    })
  })
}

variable "ledger_key_arn" {
  description = "Key that encrypts the database and its credentials."
  type        = string
}

variable "telemetry_run" {
  description = "The target hands the logs of a database to CloudWatch, and measures it under a key. When false neither is asked for."
  type        = bool
}

variable "deletion_protection" {
  description = "The database cannot be deleted, and a deleted secret can be restored for 30 days."
  type        = bool
}
