variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix = string
    region      = string
    emulator    = bool
  })
}

variable "cards_key_arn" {
  description = "Key that encrypts the table, and the data keys under which its items hold card numbers."
  type        = string
}

variable "role_arns" {
  description = "Roles that may touch the table's items, each within its own rights. They need not exist yet."
  type        = list(string)
}

variable "deletion_protection" {
  description = "The table cannot be deleted."
  type        = bool
}
