variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix        = string
    partition          = string
    account_id         = string
    region             = string
    architecture       = string
    log_level          = string
    log_retention_days = number
  })
}

variable "ecosystem" {
  description = "Networks and banks, as config/ecosystem.yaml names them; the rest of that file is the tasks' own business."
  type = object({
    networks = list(object({
      id     = string
      listen = object({ port = number, tls = optional(object({ certificate_file = string })) })
    }))
    banks = list(object({
      id       = string
      networks = list(string)
      listen   = object({ port = number, tls = optional(object({ certificate_file = string })) })
    }))
  })
}

variable "settings" {
  description = "Size, number and image of the tasks, and where keys are used; see `switch` of the root module."
  type = object({
    cpu                = number
    memory_mb          = number
    tasks_min          = number
    tasks_max          = number
    cpu_target_percent = number
    container_insights = bool
    hsm                = string
    hsm_key_arns       = list(string)
    image              = optional(string)
    image_tag          = string
  })

  validation {
    condition = contains(flatten([for cpu, sizes in {
      "256"   = [512, 1024, 2048]
      "512"   = range(1024, 4097, 1024)
      "1024"  = range(2048, 8193, 1024)
      "2048"  = range(4096, 16385, 1024)
      "4096"  = range(8192, 30721, 1024)
      "8192"  = range(16384, 61441, 4096)
      "16384" = range(32768, 122881, 8192)
    } : sizes if cpu == tostring(var.settings.cpu)]), var.settings.memory_mb)
    error_message = "Fargate does not have this pair of cpu and memory_mb."
  }

  validation {
    condition     = var.settings.tasks_min >= 1 && var.settings.tasks_max >= var.settings.tasks_min
    error_message = "At least one task, and at most no fewer than at least."
  }

  validation {
    condition     = contains(["software", "payment_cryptography"], var.settings.hsm)
    error_message = "hsm is software or payment_cryptography."
  }

  validation {
    condition     = var.settings.hsm != "payment_cryptography" || (length(var.settings.hsm_key_arns) > 0 && !anytrue([for arn in var.settings.hsm_key_arns : strcontains(arn, "*")]))
    error_message = "Name each key of AWS Payment Cryptography that the switch may use."
  }
}

variable "place" {
  description = <<-EOT
    Where tasks and load balancer live; null: nothing runs yet, everything else is made.
    security_group_ids: given to every task besides its own; they let it reach the database and AWS's services.
    acquirer_cidrs: from where networks are called.
  EOT
  type = object({
    vpc_id             = string
    subnet_ids         = list(string)
    security_group_ids = optional(list(string), [])
    acquirer_cidrs     = optional(list(string), [])
  })
  default = null
}

variable "ledger" {
  description = "What a task needs to use the ledger: rights and settings."
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

variable "card_vault" {
  description = "What a task needs of the card vault, by kind of party: rights and settings."
  type = map(object({
    statements = list(object({
      sid       = string
      actions   = list(string)
      resources = list(string)
      condition = map(map(string))
    }))
    environment = map(string)
  }))
}

variable "authorizations_table" {
  description = "Where banks hand their approvals to the pipeline."
  type        = object({ name = string, arn = string })
}

variable "reference_table" {
  description = "Where banks find exchange rates."
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

variable "switch_key_arn" {
  description = "Key that encrypts the switch's secrets."
  type        = string
}

variable "logs_key_arn" {
  description = "Key that encrypts logs."
  type        = string
}

variable "alerts_topic_arn" {
  description = "Where people hear of a party with too few tasks."
  type        = string
}

variable "tasks_run" {
  description = "ECS runs tasks. When false there is no service."
  type        = bool
}

variable "alarms_run" {
  description = "CloudWatch raises alarms. When false none is created."
  type        = bool
}

variable "deletion_protection" {
  description = "The load balancer cannot be deleted, the repository only when empty, and secrets can be restored for 30 days."
  type        = bool
}
