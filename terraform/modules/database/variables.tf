variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix        = string
    partition          = string
    account_id         = string
    region             = string
    log_retention_days = number
    logs_key_arn       = string
  })
}

variable "settings" {
  description = "See `ledger` of the root module."
  type = object({
    dbname         = string
    engine_version = string
    acu_min        = number
    acu_max        = number
    readers        = number
    backup_days    = number
  })

  validation {
    condition     = startswith(var.settings.engine_version, "16.")
    error_message = "The ledger is tested on PostgreSQL 16, and the parameters here are those of aurora-postgresql16."
  }

  validation {
    # Half units from 0.5 to 256. Zero would let the database fall asleep; the proxy's connections keep it awake anyway.
    condition     = var.settings.acu_min >= 0.5 && var.settings.acu_max <= 256 && var.settings.acu_min <= var.settings.acu_max && floor(var.settings.acu_min * 2) == var.settings.acu_min * 2 && floor(var.settings.acu_max * 2) == var.settings.acu_max * 2 && var.settings.acu_max >= 1
    error_message = "acu_min and acu_max are capacity units in halves: at least 0.5, at most 256, and 1 or more at most."
  }

  validation {
    condition     = var.settings.readers >= 0 && var.settings.readers <= 15 && floor(var.settings.readers) == var.settings.readers
    error_message = "A cluster has 0 to 15 readers."
  }

  validation {
    condition     = var.settings.backup_days >= 1 && var.settings.backup_days <= 35 && floor(var.settings.backup_days) == var.settings.backup_days
    error_message = "Aurora keeps backups for 1 to 35 days."
  }
}

variable "subnet_ids" {
  description = "Where the database is: subnets in two zones at least."
  type        = list(string)
}

variable "zones" {
  description = "Zones of the instances, in turn, the writer's first; none: RDS chooses."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Groups of the database: they say who may connect."
  type        = list(string)
}

variable "ledger_key_arn" {
  description = "Key that encrypts storage, backups, measurements and the owner's password."
  type        = string
}

variable "telemetry_run" {
  description = "The target hands the logs of a database to CloudWatch, and measures it under a key. When false neither is asked for."
  type        = bool
}

variable "deletion_protection" {
  description = "The database cannot be deleted; and when it is after all, a last snapshot stays, and the backups as long as they would have."
  type        = bool
}
