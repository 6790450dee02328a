# Keys, who may open the card vault, the record of who touched what, and what stands before the APIs.

locals {
  ecosystem = yamldecode(file(local.ecosystem_file))

  # Composed, since the key must name them before they can be made: the functions that issue cards, and each party of the switch.
  vault_role_arns = [
    for name in concat(
      ["serve-bank-api-function", "produce-cards-function"],
      [for party in concat(local.ecosystem.networks, local.ecosystem.banks) : "switch-${party.id}"],
    ) : "arn:${local.place.partition}:iam::${local.place.account_id}:role/${var.name_prefix}-${name}"
  ]
}

module "security" {
  source = "./modules/security"

  platform            = local.place
  vault_role_arns     = local.vault_role_arns
  deletion_protection = var.deletion_protection
}
