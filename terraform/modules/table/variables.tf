variable "name" {
  description = "Name of the table."
  type        = string
}

variable "hash_key" {
  description = "The table's only key attribute, a string."
  type        = string
}

variable "expires" {
  description = "Items vanish after `expires_at`, seconds since 1970."
  type        = bool
  default     = false
}

variable "stream" {
  description = "The table has a stream of new images."
  type        = bool
  default     = false
}

variable "key_arn" {
  description = "Key that encrypts the table."
  type        = string
}

variable "deletion_protection" {
  description = "The table cannot be deleted."
  type        = bool
}
