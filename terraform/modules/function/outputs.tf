output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "arn" {
  description = "ARN of the function."
  value       = aws_lambda_function.this.arn
}

output "code_hash" {
  description = "Changes when the function's archive does."
  value       = aws_lambda_function.this.source_code_hash
}

output "rights" {
  description = "What the function may do: actions by the name of their statement."
  value       = { for statement in local.statements : statement.sid => statement.actions }
}
