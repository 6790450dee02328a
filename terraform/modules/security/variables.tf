variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix = string
    partition   = string
    account_id  = string
    region      = string
    emulator    = bool
  })
}

variable "vault_role_arns" {
  description = "Roles that may use the key of card numbers themselves. They need not exist yet."
  type        = list(string)

  validation {
    condition     = length(var.vault_role_arns) > 0 && !anytrue([for arn in var.vault_role_arns : strcontains(arn, "*")])
    error_message = "Name each role of the card vault."
  }
}

variable "deletion_protection" {
  description = "Keys wait 30 days before they are gone; otherwise 7, the least KMS allows."
  type        = bool
}
