variable "platform" {
  description = "Where this copy of Postrail lives, and what all its parts share."
  type = object({
    name_prefix        = string
    partition          = string
    account_id         = string
    region             = string
    emulator           = bool
    architecture       = string
    events_key_arn     = string
    log_level          = string
    log_retention_days = number
    logs_key_arn       = string
    max_receive_count  = number
    delivery_retry     = object({ age_seconds = number, attempts = number })
  })
}

variable "settings" {
  description = "Size, network and limits of the task. See `batch` of the root module."
  type = object({
    cpu                   = number
    memory_mb             = number
    ephemeral_storage_gib = number
    workers               = number
    timeout_minutes       = number
    alarm_minutes         = number
    retention_days        = number
    subnet_ids            = list(string)
    security_group_ids    = list(string)
    image                 = string
    image_tag             = string
  })

  validation {
    condition     = var.settings.cpu >= 1024 && contains([1024, 2048, 4096, 8192, 16384], var.settings.cpu)
    error_message = "Fargate has 1024, 2048, 4096, 8192 or 16384 units of CPU; less than one processor is too little here."
  }

  validation {
    # The lower and upper ends that Fargate allows per processor; its steps within are checked by Fargate itself.
    condition     = var.settings.memory_mb >= 2 * var.settings.cpu && var.settings.memory_mb <= 8 * var.settings.cpu
    error_message = "Fargate pairs each 1024 units of CPU with 2048 to 8192 MB of memory."
  }

  validation {
    condition     = var.settings.workers >= 1 && var.settings.workers <= 64
    error_message = "Use 1 to 64 workers; one for each processor is best."
  }

  validation {
    condition     = var.settings.timeout_minutes >= var.settings.alarm_minutes
    error_message = "The alarm comes before the end."
  }

  validation {
    condition     = var.settings.ephemeral_storage_gib >= 21 && var.settings.ephemeral_storage_gib <= 200
    error_message = "Fargate takes 21 to 200 GiB."
  }
}

variable "batch_key_arn" {
  description = "Key that encrypts batch files and their results."
  type        = string
}

variable "ledger" {
  description = "What the task needs to use the ledger: rights and settings."
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
  description = "The table of cards, accounts and rates, and the key that encrypts it."
  type        = object({ name = string, arn = string, key_arn = string })
}

variable "posting_input_format" {
  description = "The issuing bank's format of a posting input: json or fixed_width."
  type        = string
}

variable "alerts_topic_arn" {
  description = "Topic for what people must look at."
  type        = string
}

variable "tasks_run" {
  description = "ECS runs tasks at the target. When false the rule fills a queue instead, and a runner beside it takes the commands."
  type        = bool
}

variable "alarms_run" {
  description = "CloudWatch reads log groups and queues at the target, and raises alarms."
  type        = bool
}

variable "deletion_protection" {
  description = "Bucket and repository can be deleted only when empty."
  type        = bool
}
