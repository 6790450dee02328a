variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix = string
    partition   = string
    account_id  = string
    region      = string
  })
}

variable "settings" {
  description = "See `network` of the root module."
  type = object({
    create             = bool
    cidr               = string
    zones              = number
    zone_names         = optional(list(string))
    nat                = bool
    vpc_id             = optional(string)
    subnet_ids         = optional(list(string), [])
    security_group_ids = optional(list(string), [])
    database_cidrs     = optional(list(string), [])
    flow_log_days      = number
  })

  validation {
    condition     = var.settings.create || var.settings.vpc_id != null
    error_message = "Either a VPC is created, or `vpc_id` names one."
  }
}

variable "hardware_keys" {
  description = "Tasks use keys in AWS Payment Cryptography, and need a way there."
  type        = bool
}

variable "logs_key_arn" {
  description = "Key that encrypts flow logs."
  type        = string
}

variable "endpoints_run" {
  description = "The target has endpoints and flow logs, and keeps their settings. When false neither is created."
  type        = bool
}
